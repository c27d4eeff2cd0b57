"""The bus on Redis: plain publish and subscribe."""

import structlog
from redis.exceptions import RedisError

from pogo.bus.connection import BusConnection, describe
from pogo.bus.interface import Bus, BusUnavailableError
from pogo.bus.redis_connection import RedisConnection
from pogo.bus.redis_link import Link, RedisOptions, find_master
from pogo.bus.remote import RemoteBus

__all__ = ["RedisBus", "RedisOptions"]

log = structlog.get_logger()

_MAX_REFUSALS = 1000
"""Error replies that are remembered, so that each is logged once."""


class RedisBus(RemoteBus):
    """The bus on one redis-server, or on the master that sentinels name."""

    kind = "redis"

    def __init__(self, options: RedisOptions) -> None:
        super().__init__()
        self._options = options
        self._logged_refusals: set[str] = set()
        self.refusals = 0
        """How many error replies there were, so far."""

    async def start(self) -> None:
        """Read the sentinels' addresses, and connect or begin trying to."""
        self._options.sentinel_addresses()
        await super().start()

    async def _open(self) -> BusConnection:
        server = f"{self._options.host}:{self._options.port}"
        try:
            if self._options.sentinels:
                server = f"master {self._options.sentinel_master}"
                host, port = await find_master(self._options)
                server = f"{host}:{port}"
            else:
                host, port = self._options.host, self._options.port
            return await self._connect(host, port)
        except (OSError, RedisError, BusUnavailableError) as error:
            raise BusUnavailableError(f"{server}: {describe(error)}") from error

    async def _connect(self, host: str, port: int) -> BusConnection:
        listening = await Link.open(self._options, host, port)
        try:
            publishing = await Link.open(self._options, host, port)
        except BaseException:
            listening.abort()
            await listening.close()
            raise
        return RedisConnection(
            f"{host}:{port}", listening, publishing, self._subscriptions, self._refused
        )

    def _refused(self, text: str) -> None:
        self.refusals += 1
        if text not in self._logged_refusals and len(self._logged_refusals) < _MAX_REFUSALS:
            self._logged_refusals.add(text)
            log.warning("redis refused a command", detail=text)


_: type[Bus] = RedisBus
