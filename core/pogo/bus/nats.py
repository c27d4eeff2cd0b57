"""The bus on NATS: core publish and subscribe, no JetStream."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

import nats.errors
import structlog

from pogo.bus.connection import CONFIRM_TIMEOUT, MAX_UNSENT, Connection, describe
from pogo.bus.interface import Bus, BusError, BusRefusedError, BusUnavailableError, Message
from pogo.bus.limits import too_large
from pogo.bus.nats_client import Address, NatsClient
from pogo.bus.outbox import Outbox
from pogo.bus.remote import RemoteBus
from pogo.bus.subscriptions import Interest

log = structlog.get_logger()

_MAX_VIOLATIONS = 1000
"""Permission violations that are remembered, so that each is logged once."""


class NatsConnection(Connection):
    """One connection to a nats-server.

    Args:
        address: Where it leads.
        violated: Is told each permission violation, in the server's words.
    """

    def __init__(self, address: Address, violated: Callable[[str], None]) -> None:
        super().__init__(str(address))
        self._violated = violated
        self._client = NatsClient(self, address)
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
        self.max_payload = self._client.max_payload
        self._run(self._keep_alive())

    def subscribe(self, interests: Sequence[Interest]) -> None:
        """Write one SUB for each subject; its number is the `sid`."""
        for interest in interests:
            self._client.interests[interest.number] = interest
            self._outbox.put(b"SUB %b %d\r\n" % (interest.subject.encode(), interest.number))

    def unsubscribe(self, interest: Interest) -> None:
        """Write an UNSUB, unless the server was not told of the subject yet."""
        if self._client.interests.pop(interest.number, None) is not None:
            self._outbox.put(b"UNSUB %d\r\n" % interest.number)

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Wait for the PONG of a PING behind everything else."""
        self._outbox.flush()
        await self._answer(self._ping(b""), within)

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Write all messages and a PING in one go: its PONG says that the server has them."""
        outcomes: list[BusError | None] = [too_large(m, self.max_payload) for m in messages]
        commands = b"".join([_pub(m) for m, e in zip(messages, outcomes, strict=True) if e is None])
        if not commands:
            return outcomes
        self._outbox.flush()
        try:
            refused = await self._confirm(commands)
        except BusUnavailableError as error:
            return [outcome or error for outcome in outcomes]
        if not refused:
            return outcomes
        return [o or _refusal(m, refused) for m, o in zip(messages, outcomes, strict=True)]

    def post(self, message: Message) -> None:
        """Write the message with whatever else this turn brings."""
        error = too_large(message, self.max_payload)
        if error is not None:
            raise error
        self._outbox.post(_pub(message))

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
        if self._transport.unsent() > MAX_UNSENT:
            raise BusUnavailableError(f"{MAX_UNSENT} bytes wait for {self.server}")
        return await self._answer(self._ping(commands), CONFIRM_TIMEOUT)

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


def _pub(message: Message) -> bytes:
    payload = message.payload
    return b"PUB %b %d\r\n%b\r\n" % (message.subject.encode(), len(payload), payload)


def _refusal(message: Message, refused: Sequence[str]) -> BusRefusedError | None:
    """Find the violation that names the message's subject; nats-py gives them in small letters."""
    subject = f'"{message.subject.lower()}"'
    for text in refused:
        if "publish" in text and subject in text:
            return BusRefusedError(text)
    return None


class NatsBus(RemoteBus):
    """The bus on one nats-server or on a cluster of them.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        name: What the server's monitoring shows for this connection.
    """

    kind = "nats"

    def __init__(self, urls: Sequence[str], *, name: str = "pogo") -> None:
        super().__init__()
        self._urls = tuple(urls)
        self._name = name
        # The next to try is the first.
        self._addresses: deque[Address] = deque()
        self._violations: set[str] = set()
        self.permission_violations = 0
        """How often the server refused a subject, so far."""

    async def start(self) -> None:
        """Read the URLs, and connect or begin trying to."""
        if not self._urls:
            raise BusError("no NATS URL was given")
        addresses = [Address.parse(url) for url in self._urls]
        # Each process begins somewhere else, so that they spread over the servers.
        random.shuffle(addresses)
        self._addresses = deque(addresses)
        await super().start()

    async def _open(self) -> Connection:
        address = self._addresses[0]
        self._addresses.rotate(-1)
        connection = NatsConnection(address, self._violated)
        try:
            await connection.open(self._name)
        except (OSError, nats.errors.Error, BusUnavailableError) as error:
            raise BusUnavailableError(f"{address}: {describe(error)}") from error
        return connection

    def _violated(self, text: str) -> None:
        self.permission_violations += 1
        if text not in self._violations and len(self._violations) < _MAX_VIOLATIONS:
            self._violations.add(text)
            log.warning("nats permission violation", detail=text)


_: type[Bus] = NatsBus
