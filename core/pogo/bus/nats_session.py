"""A session with NATS: what every kind of connection to a nats-server needs.

It logs in, keeps PINGs and PONGs in order, and writes what one turn of the event loop brings in
one go. What the server sends belongs to the client: see `pogo.bus.nats_client`.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import nats.errors
import structlog

from pogo.bus.connection import (
    CONFIRM_TIMEOUT,
    MAX_UNSENT,
    PING_TIMEOUT,
    Connection,
    describe,
)
from pogo.bus.interface import BusError, BusUnavailableError
from pogo.bus.nats_client import Address, NatsClient
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.outbox import Outbox

log = structlog.get_logger()

_MAX_VIOLATIONS = 1000
"""Permission violations that are remembered, so that each is logged once."""


class NatsSession(Connection):
    """One connection to a nats-server.

    Args:
        address: Where it leads.
        violated: Is told each permission violation, in the server's words.
        client: What takes the server's messages.
        ping_timeout: Seconds until an unanswered ping means that the server is gone.
    """

    def __init__(
        self,
        address: Address,
        violated: Callable[[str], None],
        *,
        client: type[NatsClient] = NatsClient,
        ping_timeout: float = PING_TIMEOUT,
    ) -> None:
        super().__init__(str(address), ping_timeout=ping_timeout)
        self._violated = violated
        self._client = client(self, address)
        self._transport = self._client.transport
        self._outbox = Outbox(lambda commands, _: self._write(commands), self._transport.unsent)
        # One for each PING without a PONG, in order; with the PONG comes what was refused since
        # the last one.
        self._pongs: deque[asyncio.Future[list[str]]] = deque()
        self._refused: list[str] = []

    async def open(self, name: str) -> None:
        """Connect and log in, once.

        Raises:
            BusUnavailableError: The server does not answer as it should.
            OSError, nats.errors.Error: It is not there, or refuses us.
        """
        try:
            self._watch(await self._client.open(name))
        except BaseException:
            self.lose("could not be opened")
            raise
        self._run(self._keep_alive())

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Wait for the PONG of a PING behind everything else."""
        self._outbox.flush()
        await self._answer(self._ping(b""), within)

    def pinged(self) -> None:
        """Answer a PING of the server."""
        self._write(b"PONG\r\n")

    def ponged(self) -> None:
        """Take a PONG: everything sent before its PING was done or refused."""
        refused, self._refused = self._refused, []
        if self._pongs:
            answer = self._pongs.popleft()
            if not answer.done():
                answer.set_result(refused)

    def failed(self, text: str) -> None:
        """Take an -ERR: a permission violation leaves the connection open, all others end it."""
        if "permissions violation" in text:
            self._refused.append(text)
            self._violated(text)
        else:
            self.lose(text)

    async def _confirm(self, commands: bytes) -> list[str]:
        """Write commands, and return what was refused of them once the server had them all."""
        self._check_room()
        return await self._answer(self._ping(commands), CONFIRM_TIMEOUT)

    def _check_room(self) -> None:
        """See that the server takes what is written.

        Raises:
            BusUnavailableError: It does not.
        """
        if self._transport.unsent() > MAX_UNSENT:
            raise BusUnavailableError(f"{MAX_UNSENT} bytes wait for {self.server}")

    def _ping(self, commands: bytes) -> asyncio.Future[list[str]]:
        """Write commands and a PING behind them; its PONG will be the answer."""
        answer: asyncio.Future[list[str]] = self._expect()
        self._pongs.append(answer)
        self._transport.send(commands + b"PING\r\n")
        return answer

    def _write(self, commands: bytes) -> None:
        """Write what cannot be dropped: a server that does not take it is given up."""
        if self._transport.unsent() > MAX_UNSENT:
            self.lose(f"{MAX_UNSENT} bytes wait for the server")
        else:
            self._transport.send(commands)

    def _abort(self) -> None:
        self._outbox.clear()
        self._client.abort()


_S = TypeVar("_S", bound=NatsSession)


class NatsServers:
    """The servers of `nats_url`, and what they refuse.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        name: What the server's monitoring shows for connections.
        login: Who connects, where a URL does not say, and whom to believe.
    """

    def __init__(self, urls: Sequence[str], name: str, login: NatsLogin = ANONYMOUS) -> None:
        self._urls = tuple(urls)
        self._login = login
        self._name = name
        # The next to try is the first.
        self._addresses: deque[Address] = deque()
        self._logged_violations: set[str] = set()
        self.violations = 0
        """How often a server refused a subject, so far."""

    def parse(self) -> None:
        """Read the URLs, and the files that logging in needs.

        Raises:
            BusError: One of them can never work.
        """
        if not self._urls:
            raise BusError("no NATS URL was given")
        addresses = [Address.parse(url, self._login) for url in self._urls]
        for address in addresses:
            address.options()
        # Each process begins somewhere else, so that they spread over the servers.
        random.shuffle(addresses)
        self._addresses = deque(addresses)

    async def open(self, make: Callable[[Address, Callable[[str], None]], _S]) -> _S:
        """Connect to the next server, once, with the session made for it.

        Raises:
            BusUnavailableError: It is not there, or refuses us.
        """
        address = self._addresses[0]
        self._addresses.rotate(-1)
        session = make(address, self._violated)
        try:
            await session.open(self._name)
        except (OSError, nats.errors.Error, BusUnavailableError) as error:
            raise BusUnavailableError(f"{address}: {describe(error)}") from error
        return session

    def _violated(self, text: str) -> None:
        self.violations += 1
        if text not in self._logged_violations and len(self._logged_violations) < _MAX_VIOLATIONS:
            self._logged_violations.add(text)
            log.warning("nats permission violation", detail=text)
