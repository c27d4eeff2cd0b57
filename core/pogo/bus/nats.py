"""The bus on NATS: core publish and subscribe, no JetStream."""

from collections.abc import Sequence

from pogo.bus.connection import BusConnection
from pogo.bus.interface import Bus, BusError, BusRefusedError, BusUnavailableError, Message
from pogo.bus.limits import too_large
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_session import NatsServers, NatsSession
from pogo.bus.remote import RemoteBus
from pogo.bus.subscriptions import Interest


class NatsConnection(NatsSession, BusConnection):
    """One connection to a nats-server that carries deliveries."""

    async def open(self, name: str) -> None:
        """Connect and log in, once, and learn the server's limit."""
        await super().open(name)
        self.max_payload = self._client.max_payload

    def subscribe(self, interests: Sequence[Interest]) -> None:
        """Write one SUB for each subject; its number is the `sid`."""
        for interest in interests:
            self._client.interests[interest.number] = interest
            self._outbox.put(b"SUB %b %d\r\n" % (interest.subject.encode(), interest.number))

    def unsubscribe(self, interest: Interest) -> None:
        """Write an UNSUB, unless the server was not told of the subject yet."""
        if self._client.interests.pop(interest.number, None) is not None:
            self._outbox.put(b"UNSUB %d\r\n" % interest.number)

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
        login: Who connects, where a URL does not say, and whom to believe.
    """

    kind = "nats"

    def __init__(
        self, urls: Sequence[str], *, name: str = "pogo", login: NatsLogin = ANONYMOUS
    ) -> None:
        super().__init__()
        self._servers = NatsServers(urls, name, login)

    @property
    def permission_violations(self) -> int:
        """How often the server refused a subject, so far."""
        return self._servers.violations

    async def start(self) -> None:
        """Read the URLs, and connect or begin trying to."""
        self._servers.parse()
        await super().start()

    async def _open(self) -> BusConnection:
        return await self._servers.open(NatsConnection)


_: type[Bus] = NatsBus
