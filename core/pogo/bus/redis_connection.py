"""A connection to Redis for plain publish and subscribe.

It is a subscribed socket and a publishing one, since in RESP2 a subscribed one may do nothing else.
The loss of either is the loss of both.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pogo.bus.connection import CONFIRM_TIMEOUT, MAX_UNSENT, BusConnection
from pogo.bus.interface import BusError, BusRefusedError, BusUnavailableError, Message
from pogo.bus.limits import MAX_PAYLOAD, too_large
from pogo.bus.outbox import Outbox
from pogo.bus.redis_link import Link, command
from pogo.bus.subscriptions import Interest, Subscriptions, deliver


class _Request:
    """Commands whose replies will come, one each, in order."""

    __slots__ = ("answer", "count", "replies")

    def __init__(self, count: int, answer: asyncio.Future[None]) -> None:
        self.count = count
        self.replies: list[Any] = []
        # Done when all replies are there.
        self.answer = answer


class RedisConnection(BusConnection):
    """A subscribed connection to a redis-server and a publishing one.

    Args:
        server: Where they lead, as host:port.
        listening: Subscribes.
        publishing: Publishes.
        subscriptions: Who gets what arrives.
        refused: Is told each error reply, in the server's words.
    """

    max_payload = MAX_PAYLOAD

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        subscriptions: Subscriptions,
        refused: Callable[[str], None],
    ) -> None:
        super().__init__(server)
        self._listening = listening
        self._publishing = publishing
        self._subscriptions = subscriptions
        self._refused = refused
        self._changes = Outbox(lambda commands, _: self._change(commands), listening.unsent)
        self._outbox = Outbox(self._send_posts, publishing.unsent)
        # Pings of the subscribed connection without an answer, by their token.
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._pings = 0
        # What the publishing connection has to answer, in order.
        self._requests: deque[_Request] = deque()
        self._run(self._listen())
        self._run(self._collect())
        self._run(self._keep_alive())

    def subscribe(self, interests: Sequence[Interest]) -> None:
        """Write one SUBSCRIBE for each subject, so that one that is refused harms no other."""
        for interest in interests:
            self._changes.put(command(b"SUBSCRIBE", interest.subject.encode()))

    def unsubscribe(self, interest: Interest) -> None:
        """Write an UNSUBSCRIBE."""
        self._changes.put(command(b"UNSUBSCRIBE", interest.subject.encode()))

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Ping both connections behind everything else."""
        self._changes.flush()
        self._outbox.flush()
        answers = [self._ping(), self._request(command(b"PING"), 1).answer]
        await asyncio.wait(answers, timeout=within)
        for answer in answers:
            self._result(answer, within)

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Write all messages in one go; each has a reply of its own."""
        outcomes: list[BusError | None] = [too_large(m, MAX_PAYLOAD) for m in messages]
        commands = [_publish(m) for m, e in zip(messages, outcomes, strict=True) if e is None]
        if not commands:
            return outcomes
        self._outbox.flush()
        if self._publishing.unsent() > MAX_UNSENT:
            behind = BusUnavailableError(f"{MAX_UNSENT} bytes wait for {self.server}")
            return [outcome or behind for outcome in outcomes]
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

    async def close(self) -> None:
        """Give both connections up."""
        try:
            await super().close()
        finally:
            await self._listening.close()
            await self._publishing.close()

    def _abort(self) -> None:
        self._changes.clear()
        self._outbox.clear()
        self._listening.abort()
        self._publishing.abort()

    def _change(self, commands: bytes) -> None:
        """Write what cannot be dropped: a server that does not take it is given up."""
        if self._listening.unsent() > MAX_UNSENT:
            self.lose(f"{MAX_UNSENT} bytes wait for the server")
        else:
            self._listening.send(commands)

    def _ping(self) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = self._expect()
        self._pings += 1
        token = b"%d" % self._pings
        self._pongs[token] = answer
        self._listening.send(command(b"PING", token))
        return answer

    def _send_posts(self, commands: bytes, count: int) -> None:
        self._request(commands, count)

    def _request(self, commands: bytes, count: int) -> _Request:
        request = _Request(count, self._expect())
        self._requests.append(request)
        self._publishing.send(commands)
        return request

    async def _listen(self) -> None:
        """Take what the subscribed connection receives: deliveries, and answers to commands."""
        while True:
            reply = await self._listening.receive()
            match reply:
                case [b"message", bytes(channel), bytes(payload)]:
                    interest = self._subscriptions.get(channel.decode())
                    if interest is not None:
                        deliver(interest, payload)
                case [b"pong", bytes(token)]:
                    self._ponged(token)
                case bytes(token):  # a pong while nothing is subscribed
                    self._ponged(token)
                case Exception():
                    self._refused(str(reply))

    def _ponged(self, token: bytes) -> None:
        answer = self._pongs.pop(token, None)
        if answer is not None and not answer.done():
            answer.set_result(None)

    async def _collect(self) -> None:
        """Take what the publishing connection receives: the replies to requests, in order."""
        while True:
            reply = await self._publishing.receive()
            if isinstance(reply, Exception):
                self._refused(str(reply))
            request = self._requests[0]
            request.replies.append(reply)
            if len(request.replies) == request.count:
                self._requests.popleft()
                if not request.answer.done():
                    request.answer.set_result(None)


def _publish(message: Message) -> bytes:
    return command(b"PUBLISH", message.subject.encode(), message.payload)


def _outcome(reply: object) -> BusError | None:
    """Judge the reply to one PUBLISH, which is the number of clients that got it."""
    if isinstance(reply, int):
        return None
    return reply if isinstance(reply, BusError) else BusRefusedError(str(reply))
