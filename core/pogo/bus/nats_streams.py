"""The servers that hold a stream of ours, and sessions with them."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import JetStreamSession, NoJetStreamError
from pogo.bus.nats_session import NatsServers

_S = TypeVar("_S", bound=JetStreamSession)


class StreamServers(Generic[_S]):
    """Opens sessions with the servers; the first that can configures the stream as it should be."""

    def __init__(
        self, servers: NatsServers, make: Callable[[Address, Callable[[str], None]], _S]
    ) -> None:
        self._servers = servers
        self._make = make
        self._is_configured = False
        self.unfit: NoJetStreamError | None = None
        """Why the server that was asked last can never work."""

    def parse(self) -> None:
        """Read the URLs.

        Raises:
            BusError: One of them can never work.
        """
        self._servers.parse()

    async def open(self) -> _S:
        """Connect to the next server, once.

        Raises:
            BusUnavailableError: It is not there, or refuses us.
            NoJetStreamError: It cannot hold the stream.
        """
        try:
            session = await self._servers.open(self._make)
        except NoJetStreamError as error:
            self.unfit = error
            raise
        if not self._is_configured:
            self._is_configured = await session.configure()
        return session
