"""What Redis says: of itself, of what it keeps, and of the time."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from redis.exceptions import RedisError

from pogo.bus import BusUnavailableError
from pogo.bus.connection import describe
from pogo.bus.redis_link import Link, RedisOptions, command, find_master
from pogo.cli.buses import redis_options
from pogo.cli.doctor.bus_server import (
    BusServer,
    Stopwatch,
    connection_advice,
    reason_of,
    size,
)
from pogo.cli.doctor.findings import Finding, ok, warning, worst, wrong
from pogo.cluster.membership import BROKER, EDGE
from pogo.cluster.nodes import Node, node_of
from pogo.registry.keys import nodes_topic
from pogo.registry.redis_scripts import PREFIX, PUT
from pogo.settings import Settings

_FULL = 0.8
"""The part of its memory from which on a server is worth a warning."""

_KEEP = "noeviction"

_UNKNOWN = warning(
    "this user may not ask with INFO how Redis is configured",
    "let it (`+info`), or see to it that `maxmemory-policy` is noeviction",
)


class RedisProbe:
    """A connection that asks, and changes nothing."""

    def __init__(self, server: str, link: Link) -> None:
        self.server = server
        self._link = link

    async def ask(self, *words: str) -> Any:
        """Send one command; returns the reply, which may be an error."""
        self._link.send(command(*(word.encode() for word in words)))
        return await self._link.receive()

    async def info(self) -> dict[str, str]:
        """Return what Redis says of itself; nothing where it may not be asked."""
        reply = await self.ask("INFO")
        if not isinstance(reply, bytes):
            return {}
        lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
        return {name: value for name, colon, value in lines if colon}


class RedisBusServer:
    """The redis-server of the settings, or the master that sentinels name."""

    def __init__(self, settings: Settings) -> None:
        self._options = redis_options(settings)

    async def reach(self) -> Finding:
        """Log in, and see that it is what Pogo can use."""
        try:
            async with self._session() as probe:
                watch = Stopwatch()
                await probe.ask("PING")
                taken = watch.milliseconds
                info = await probe.info()
        except BusUnavailableError as error:
            reason = reason_of(error)
            return wrong(f"no connection to {reason}", connection_advice(reason, "redis_host"))
        version = info.get("redis_version", "")
        text = f"redis-server {version} at {probe.server} answers in {taken:.1f} ms"
        return judge_role(text, info) if info else worst([ok(text), _UNKNOWN])

    async def registry(self) -> Finding:
        """Judge whether it keeps what it is told."""
        return judge_eviction(await self._info())

    async def records(self) -> Finding:
        """Judge whether it has room."""
        return judge_memory(await self._info())

    async def webhooks(self) -> Finding:
        """Judge whether what waits outlives a restart."""
        return judge_persistence(await self._info())

    async def clock(self) -> float | None:
        """Ask for the time."""
        async with self._session() as probe:
            watch = Stopwatch()
            reply = await probe.ask("TIME")
            if isinstance(reply, Exception):
                return None
            seconds, microseconds = reply
            return watch.ahead(int(seconds) + int(microseconds) / 1_000_000)

    async def nodes(self) -> list[Node]:
        """Read their keys."""
        found: list[Node] = []
        async with self._session() as probe:
            for role in (EDGE, BROKER):
                topic = nodes_topic(role)
                reply = await probe.ask("HGETALL", f"{PREFIX}t:{topic}")
                if isinstance(reply, Exception):
                    raise BusUnavailableError(f"this user may not ask: {reply}")
                found += [
                    _node(topic, field, stored)
                    for field, stored in zip(reply[::2], reply[1::2], strict=True)
                ]
        return found

    async def _info(self) -> dict[str, str]:
        async with self._session() as probe:
            return await probe.info()

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[RedisProbe]:
        """Open a connection.

        Raises:
            BusUnavailableError: It cannot be, or is lost.
        """
        server = _name(self._options)
        try:
            host, port = self._options.host, self._options.port
            if self._options.sentinels:
                host, port = await find_master(self._options)
                server = f"{host}:{port}"
            link = await Link.open(self._options, host, port)
        except (OSError, RedisError, BusUnavailableError) as error:
            raise BusUnavailableError(f"{server}: {describe(error)}") from error
        try:
            yield RedisProbe(server, link)
        finally:
            link.abort()
            await link.close()


def judge_role(text: str, info: Mapping[str, str]) -> Finding:
    """Judge whether it is a master, and no part of a Redis Cluster."""
    if info.get("cluster_enabled") == "1":
        return wrong(
            f"{text}, and is a Redis Cluster, which Pogo does not support",
            "use one server, or Sentinel: docs/scaling.md",
        )
    if info.get("role", "master") != "master":
        return wrong(
            f"{text}, and is a replica, which takes no writes",
            "set redis_host to the master, or redis_sentinels, which name it",
        )
    return ok(text)


def judge_eviction(info: Mapping[str, str]) -> Finding:
    """Judge whether what is written stays."""
    if not info:
        return _UNKNOWN
    policy, limit = info.get("maxmemory_policy", _KEEP), int(info.get("maxmemory", 0))
    if policy == _KEEP:
        return ok("a full Redis refuses what is new, and forgets nothing")
    say = wrong if limit else warning
    what = "a full Redis forgets" if limit else "with a `maxmemory`, Redis would forget"
    return say(
        f"maxmemory-policy is {policy}: {what} who is present",
        "`CONFIG SET maxmemory-policy noeviction`, and the same in redis.conf",
    )


def judge_memory(info: Mapping[str, str]) -> Finding:
    """Judge whether there is room for more."""
    if not info:
        return _UNKNOWN
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not limit:
        return ok(f"Redis uses {size(used)}, without a limit of its own")
    text = f"Redis uses {size(used)} of {size(limit)}"
    if used < _FULL * limit:
        return ok(text)
    return warning(f"{text}: what finds no room is refused", "raise `maxmemory`")


def judge_persistence(info: Mapping[str, str]) -> Finding:
    """Judge whether a restart loses events that wait."""
    if not info:
        return _UNKNOWN
    if info.get("aof_enabled") == "1":
        return ok("what waits for webhooks outlives a restart of Redis, but for the last second")
    return warning(
        "Redis has no append-only file: its restart loses what waits for webhooks",
        "`CONFIG SET appendonly yes`, and `appendonly yes` in redis.conf",
    )


def _node(topic: str, field: bytes, stored: bytes) -> Node:
    revision, _, value = stored.partition(PUT)
    return node_of(f"{topic}.{field.decode()}", value, int(revision))


def _name(options: RedisOptions) -> str:
    if options.sentinels:
        return f"master {options.sentinel_master}"
    return f"{options.host}:{options.port}"


_: type[BusServer] = RedisBusServer
