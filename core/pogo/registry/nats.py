"""The registry on NATS: a JetStream key-value bucket in memory."""

import functools
from collections.abc import Sequence

import structlog

from pogo.bus import BusError
from pogo.bus.nats_jetstream import NoJetStreamError
from pogo.bus.nats_messages import StreamOptions
from pogo.bus.nats_session import NatsServers
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
    """

    kind = "nats"

    def __init__(
        self,
        urls: Sequence[str],
        options: StreamOptions = _STREAM_OPTIONS,
        *,
        name: str = "pogo-registry",
        refresh_interval: float = REFRESH_INTERVAL,
    ) -> None:
        super().__init__(refresh_interval=refresh_interval)
        self._servers = NatsServers(urls, name)
        self._make = functools.partial(NatsRegistryConnection, options=options, missed=self._missed)
        # Whether the stream is known to be configured as it should be.
        self._is_configured = False
        # Why the server that was asked first can never work.
        self._unfit: NoJetStreamError | None = None

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
        if self._unfit is not None and not self.connected:
            await self.close()
            raise RegistryError(str(self._unfit)) from self._unfit

    async def _open(self) -> RegistryConnection:
        try:
            connection = await self._servers.open(self._make)
        except NoJetStreamError as error:
            self._unfit = error
            raise
        if not self._is_configured:
            self._is_configured = await connection.configure()
        return connection


_: type[Registry] = NatsRegistry
