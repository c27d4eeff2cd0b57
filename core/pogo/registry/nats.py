"""The registry on NATS: a JetStream key-value bucket in memory."""

import functools
from collections.abc import Sequence

import structlog

from pogo.bus import BusError
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_messages import StreamOptions
from pogo.bus.nats_session import NatsServers
from pogo.bus.nats_streams import StreamServers
from pogo.registry.interface import Registry, RegistryError
from pogo.registry.nats_connection import NatsRegistryConnection
from pogo.registry.remote import REFRESH_INTERVAL, RegistryConnection, RemoteRegistry

__all__ = ["NatsRegistry", "StreamOptions"]

log = structlog.get_logger()

_STREAM_OPTIONS = StreamOptions()


class NatsRegistry(RemoteRegistry):
    """The registry on one nats-server or on a cluster of them, on a connection of its own.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        options: How the stream is to be.
        name: What the server's monitoring shows for the connection.
        refresh_interval: Seconds within which every topic is read again.
        login: Who connects, where a URL does not say, and whom to believe.
    """

    kind = "nats"

    def __init__(
        self,
        urls: Sequence[str],
        options: StreamOptions = _STREAM_OPTIONS,
        *,
        name: str = "pogo-registry",
        refresh_interval: float = REFRESH_INTERVAL,
        login: NatsLogin = ANONYMOUS,
    ) -> None:
        super().__init__(refresh_interval=refresh_interval)
        self._servers = StreamServers(
            NatsServers(urls, name, login),
            functools.partial(NatsRegistryConnection, options=options, missed=self._missed),
        )

    async def start(self) -> None:
        """Read the URLs, and connect or begin trying to.

        Raises:
            RegistryError: A URL is none, JetStream is off, or the server too old.
        """
        try:
            self._servers.parse()
        except BusError as error:
            raise RegistryError(str(error)) from error
        await super().start()
        if self._servers.unfit is not None and not self.connected:
            await self.close()
            raise RegistryError(str(self._servers.unfit)) from self._servers.unfit

    async def _open(self) -> RegistryConnection:
        return await self._servers.open()


_: type[Registry] = NatsRegistry
