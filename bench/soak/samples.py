"""What a site looks like from outside, now and then: memory, files, connections, entries."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
import msgspec
from tests.servers import HOST, NatsServer

from bench.cpu import cpu_seconds, open_files, resident_bytes
from bench.delivery.site import APP, Site
from pogo.bus.redis_link import RedisOptions
from pogo.registry import Change, Entry, Registry
from pogo.registry.keys import app_counts_topic, app_presence_topic
from pogo.registry.nats import NatsRegistry
from pogo.registry.redis import RedisRegistry

_HELD = {
    "connections": "pogo_websocket_connections_active",
    "channels": "pogo_websocket_channels_active",
    "subscriptions": "pogo_websocket_subscriptions_active",
}
"""What edges hold, by the names of their metrics."""

_ENTRIES = "registry entries"
_OWN = "clients"
_USERS_TOPIC = f"u.{APP}"
_TIMEOUT = 20.0


class Sample(msgspec.Struct, frozen=True):
    """A site at one moment. Processes have names: `edge-0`, `broker`, `nats-server`."""

    seconds: float
    """Since `Sampler.begin`."""
    resident: Mapping[str, int]
    """Bytes of memory of each process."""
    files: Mapping[str, int]
    """Open files and sockets of each process."""
    cpu: Mapping[str, float]
    """Seconds of processor time so far of each process, and of this one: `clients`."""
    held: Mapping[str, int]
    """What there is of clients, on all edges together, and in the registry if it is a server's."""


class _Keys:
    """A watcher that keeps the keys under one topic."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def snapshot(self, entries: Sequence[Entry]) -> None:
        self.keys = {entry.key for entry in entries}

    def changed(self, change: Change) -> None:
        if change.value is None:
            self.keys.discard(change.key)
        else:
            self.keys.add(change.key)


class Sampler:
    """Takes samples of one site."""

    def __init__(self, site: Site, session: aiohttp.ClientSession, topics: Sequence[_Keys]) -> None:
        self._site = site
        self._session = session
        self._topics = topics
        self._processes = _processes(site)
        self.begin()

    def begin(self) -> None:
        """Count seconds from now on."""
        self._began = time.monotonic()

    async def take(self) -> Sample:
        """Look once.

        Raises:
            OSError: A process has ended, or does not answer.
        """
        held = dict.fromkeys(_HELD, 0)
        for edge in self._site.edges:
            for name, value in (await self._metrics(edge.metrics_port)).items():
                held[name] += value
        if self._topics:
            held[_ENTRIES] = sum(len(topic.keys) for topic in self._topics)
        processes = self._processes.items()
        return Sample(
            round(time.monotonic() - self._began, 2),
            {name: resident_bytes(pid) for name, pid in processes},
            {name: open_files(pid) for name, pid in processes},
            {name: cpu_seconds(pid) for name, pid in processes} | {_OWN: time.process_time()},
            held,
        )

    async def _metrics(self, port: int) -> dict[str, int]:
        async with self._session.get(f"http://{HOST}:{port}/metrics") as page:
            lines = dict(line.rsplit(" ", 1) for line in (await page.text()).splitlines())
        return {name: int(float(lines[metric])) for name, metric in _HELD.items()}


@contextlib.asynccontextmanager
async def open_sampler(site: Site) -> AsyncIterator[Sampler]:
    """Look at a site, and follow its registry where that is a server's.

    Its own requests leave nothing open in the services.

    Raises:
        RegistryError: The registry cannot be followed.
    """
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
            )
        )
        topics: list[_Keys] = []
        registry = _registry(site)
        if registry is not None:
            stack.push_async_callback(registry.close)
            await registry.start()
            for topic in (app_presence_topic(APP), app_counts_topic(APP), _USERS_TOPIC):
                topics.append(_Keys())
                await registry.watch(topic, topics[-1])
        yield Sampler(site, session, topics)


def _registry(site: Site) -> Registry | None:
    if site.bus is None:
        return None
    if isinstance(site.bus, NatsServer):
        return NatsRegistry([site.bus.url])
    return RedisRegistry(RedisOptions(port=site.bus.port))


def _processes(site: Site) -> dict[str, int]:
    if site.bus is None:
        return {"serve": site.broker.pid}
    edges = {f"edge-{number}": edge.pid for number, edge in enumerate(site.edges)}
    return {**edges, "broker": site.broker.pid, site.bus.name: site.bus.pid}
