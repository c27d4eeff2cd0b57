"""The registry on Redis: a hash for each topic, scripts that change it, and publish and subscribe.

The server must not evict keys (`maxmemory-policy noeviction`). A server without persistence begins
a new epoch when it is restarted.
"""

from functools import partial

from pogo.bus import BusError
from pogo.bus.redis_connection import RedisServers
from pogo.bus.redis_link import RedisOptions
from pogo.registry.interface import Registry, RegistryError
from pogo.registry.redis_connection import RedisRegistryConnection
from pogo.registry.remote import REFRESH_INTERVAL, RegistryConnection, RemoteRegistry

__all__ = ["RedisOptions", "RedisRegistry"]


class RedisRegistry(RemoteRegistry):
    """The registry in a database of one redis-server, or of the master that sentinels name.

    Args:
        options: Where Redis is and how to log in.
        refresh_interval: Seconds within which every topic is read again.
    """

    kind = "redis"

    def __init__(
        self, options: RedisOptions, *, refresh_interval: float = REFRESH_INTERVAL
    ) -> None:
        super().__init__(refresh_interval=refresh_interval)
        self._servers = RedisServers(options)
        self._subject = _subject(options.db)

    @property
    def refusals(self) -> int:
        """How many error replies there were, so far."""
        return self._servers.refusals

    async def start(self) -> None:
        """Read the sentinels' addresses, and connect or begin trying to."""
        try:
            self._servers.parse()
        except BusError as error:
            raise RegistryError(str(error)) from error
        await super().start()

    async def _open(self) -> RegistryConnection:
        return await self._servers.open(partial(RedisRegistryConnection, subject=self._subject))


def _subject(db: int) -> str:
    """Name what the subjects of a database begin with: subscribers hear every database."""
    return f"pogo.v1.reg@{db}." if db else "pogo.v1.reg."


_: type[Registry] = RedisRegistry
