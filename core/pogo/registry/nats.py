"""The registry on NATS: a JetStream key-value bucket in memory."""

import asyncio
import functools
from collections.abc import Sequence

import structlog

from pogo.bus import BusError
from pogo.bus.connection import describe
from pogo.bus.nats_session import NatsServers
from pogo.registry.interface import Registry, RegistryError
from pogo.registry.nats_connection import NatsRegistryConnection, StreamOptions
from pogo.registry.nats_jetstream import NoJetStreamError
from pogo.registry.remote import REFRESH_INTERVAL, RegistryConnection, RemoteRegistry

__all__ = ["NatsRegistry", "StreamOptions"]

log = structlog.get_logger()

_CONFIGURE_TIMEOUT = 2.0
"""Seconds in which the stream is changed; else the next connection tries."""

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
            raise self._unfit

    async def _open(self) -> RegistryConnection:
        try:
            connection = await self._servers.open(self._make)
        except NoJetStreamError as error:
            self._unfit = error
            raise
        if not self._is_configured:
            await self._configure(connection)
        return connection

    async def _configure(self, connection: NatsRegistryConnection) -> None:
        """Change the stream if it is not as it should be; it works meanwhile."""
        try:
            async with asyncio.timeout(_CONFIGURE_TIMEOUT):
                await connection.have_stream()
            self._is_configured = True
        except (TimeoutError, BusError) as error:
            log.warning("the registry's stream keeps its configuration", reason=describe(error))


_: type[Registry] = NatsRegistry
