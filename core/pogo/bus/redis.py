"""The bus on Redis: plain publish and subscribe."""

from collections.abc import Callable, Sequence
from functools import partial

from pogo.bus.connection import CONFIRM_TIMEOUT, BusConnection
from pogo.bus.interface import Bus, BusError, BusRefusedError, BusUnavailableError, Message
from pogo.bus.limits import MAX_PAYLOAD, too_large
from pogo.bus.outbox import Outbox
from pogo.bus.redis_connection import RedisServers, RedisSession
from pogo.bus.redis_link import Link, RedisOptions, command
from pogo.bus.remote import RemoteBus
from pogo.bus.subscriptions import Interest, Subscriptions, deliver

__all__ = ["RedisBus", "RedisOptions"]


class RedisConnection(RedisSession, BusConnection):
    """A session with a redis-server that carries deliveries: see `RedisSession`.

    Args:
        subscriptions: Who gets what arrives.
    """

    max_payload = MAX_PAYLOAD

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        refused: Callable[[str], None],
        *,
        subscriptions: Subscriptions,
    ) -> None:
        super().__init__(server, listening, publishing, refused)
        self._subscriptions = subscriptions
        self._outbox = Outbox(self._send_posts, publishing.unsent)

    def subscribe(self, interests: Sequence[Interest]) -> None:
        """Write one SUBSCRIBE for each subject, so that one that is refused harms no other."""
        for interest in interests:
            self._changes.put(command(b"SUBSCRIBE", interest.subject.encode()))

    def unsubscribe(self, interest: Interest) -> None:
        """Write an UNSUBSCRIBE."""
        self._changes.put(command(b"UNSUBSCRIBE", interest.subject.encode()))

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Ping both connections behind everything else, posted messages included."""
        self._outbox.flush()
        await super().flush(within)

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Write all messages in one go; each has a reply of its own."""
        outcomes: list[BusError | None] = [too_large(m, MAX_PAYLOAD) for m in messages]
        commands = [_publish(m) for m, e in zip(messages, outcomes, strict=True) if e is None]
        if not commands:
            return outcomes
        self._outbox.flush()
        try:
            self._check_room()
        except BusUnavailableError as error:
            return [outcome or error for outcome in outcomes]
        request = self._request(b"".join(commands), len(commands))
        failure: BusError | None = None
        try:
            await self._answer(request.answer, CONFIRM_TIMEOUT)
        except BusUnavailableError as error:
            failure = error
        replies = iter(request.replies)
        return [outcome or _outcome(next(replies, failure)) for outcome in outcomes]

    def post(self, message: Message) -> None:
        """Write the message with whatever else this turn brings."""
        error = too_large(message, MAX_PAYLOAD)
        if error is not None:
            raise error
        self._outbox.post(_publish(message))

    def _delivered(self, subject: bytes, payload: bytes) -> None:
        interest = self._subscriptions.get(subject.decode())
        if interest is not None:
            deliver(interest, payload)

    def _send_posts(self, commands: bytes, count: int) -> None:
        self._request(commands, count)

    def _abort(self) -> None:
        self._outbox.clear()
        super()._abort()


def _publish(message: Message) -> bytes:
    return command(b"PUBLISH", message.subject.encode(), message.payload)


def _outcome(reply: object) -> BusError | None:
    """Judge the reply to one PUBLISH, which is the number of clients that got it."""
    if isinstance(reply, int):
        return None
    return reply if isinstance(reply, BusError) else BusRefusedError(str(reply))


class RedisBus(RemoteBus):
    """The bus on one redis-server, or on the master that sentinels name."""

    kind = "redis"

    def __init__(self, options: RedisOptions) -> None:
        super().__init__()
        self._servers = RedisServers(options)

    @property
    def refusals(self) -> int:
        """How many error replies there were, so far."""
        return self._servers.refusals

    async def start(self) -> None:
        """Read the sentinels' addresses, and connect or begin trying to."""
        self._servers.parse()
        await super().start()

    async def _open(self) -> BusConnection:
        return await self._servers.open(partial(RedisConnection, subscriptions=self._subscriptions))


_: type[Bus] = RedisBus
