"""A session with Redis: what every kind of connection to a redis-server needs.

It is a subscribed socket and a publishing one, since in RESP2 a subscribed one may do nothing else.
The loss of either is the loss of both.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from redis.exceptions import RedisError

from pogo.bus.connection import CONFIRM_TIMEOUT, MAX_UNSENT, PING_TIMEOUT, Connection, describe
from pogo.bus.interface import BusUnavailableError
from pogo.bus.outbox import Outbox
from pogo.bus.redis_link import Link, RedisOptions, command, find_master

log = structlog.get_logger()

_MAX_REFUSALS = 1000
"""Error replies that are remembered, so that each is logged once."""


class Request:
    """Commands whose replies will come, one each, in order."""

    __slots__ = ("answer", "count", "replies")

    def __init__(self, count: int, answer: asyncio.Future[None]) -> None:
        self.count = count
        self.replies: list[Any] = []
        # Done when all replies are there.
        self.answer = answer


class RedisSession(Connection):
    """A subscribed connection to a redis-server and a publishing one.

    Args:
        server: Where they lead, as host:port.
        listening: Subscribes.
        publishing: Does everything else.
        refused: Is told each error reply, in the server's words.
        ping_timeout: Seconds until an unanswered ping means that the server is gone.
    """

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        refused: Callable[[str], None],
        *,
        ping_timeout: float = PING_TIMEOUT,
    ) -> None:
        super().__init__(server, ping_timeout=ping_timeout)
        self._listening = listening
        self._publishing = publishing
        self._refused = refused
        self._changes = Outbox(lambda commands, _: self._change(commands), listening.unsent)
        # Pings of the subscribed connection without an answer, by their token.
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._pings = 0
        # What the publishing connection has to answer, in order.
        self._requests: deque[Request] = deque()

    async def open(self) -> None:
        """Begin to read both connections.

        Raises:
            BusUnavailableError: The server does not answer as it should.
        """
        self._run(self._listen())
        self._run(self._collect())
        await self._prepare()
        self._run(self._keep_alive())

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Ping both connections behind everything else."""
        self._changes.flush()
        answers = [self._ping(), self._request(command(b"PING"), 1).answer]
        await asyncio.wait(answers, timeout=within)
        for answer in answers:
            self._result(answer, within)

    async def close(self) -> None:
        """Give both connections up."""
        try:
            await super().close()
        finally:
            await self._listening.close()
            await self._publishing.close()

    async def _prepare(self) -> None:
        """Do what has to be done before anyone uses the session.

        Raises:
            BusUnavailableError: It could not be done.
        """

    @abstractmethod
    def _delivered(self, subject: bytes, payload: bytes) -> None:
        """Take a message of a subject that was subscribed to."""

    def _noted(self, what: bytes, subject: bytes) -> None:
        """Take the server's word that it has done a `subscribe` or an `unsubscribe`."""

    def _failed(self, error: Exception) -> None:
        """Take an error reply, before whoever waits for it."""
        self._refused(str(error))

    def _abort(self) -> None:
        self._changes.clear()
        self._listening.abort()
        self._publishing.abort()

    def _change(self, commands: bytes) -> None:
        """Write what cannot be dropped: a server that does not take it is given up."""
        if self._listening.unsent() > MAX_UNSENT:
            self.lose(f"{MAX_UNSENT} bytes wait for the server")
        else:
            self._listening.send(commands)

    def _ping(self) -> asyncio.Future[None]:
        """Ping the subscribed connection."""
        answer: asyncio.Future[None] = self._expect()
        self._pings += 1
        token = b"%d" % self._pings
        self._pongs[token] = answer
        self._listening.send(command(b"PING", token))
        return answer

    def _check_room(self) -> None:
        """See that the server takes what is written.

        Raises:
            BusUnavailableError: It does not.
        """
        if self._publishing.unsent() > MAX_UNSENT:
            raise BusUnavailableError(f"{MAX_UNSENT} bytes wait for {self.server}")

    def _request(self, commands: bytes, count: int) -> Request:
        """Write commands on the publishing connection."""
        request = Request(count, self._expect())
        self._requests.append(request)
        self._publishing.send(commands)
        return request

    async def _replies(self, commands: Sequence[bytes], within: float) -> list[Any]:
        """Write commands on the publishing connection, and wait for all replies.

        Raises:
            BusUnavailableError: They did not come in time, or the connection was lost.
        """
        self._check_room()
        request = self._request(b"".join(commands), len(commands))
        await self._answer(request.answer, within)
        return request.replies

    async def _listen(self) -> None:
        """Take what the subscribed connection receives: deliveries, and answers to commands."""
        while True:
            reply = await self._listening.receive()
            match reply:
                case [b"message", bytes(subject), bytes(payload)]:
                    self._delivered(subject, payload)
                case [bytes(what), bytes(subject), int()]:
                    self._noted(what, subject)
                case [b"pong", bytes(token)]:
                    self._ponged(token)
                case bytes(token):  # a pong while nothing is subscribed
                    self._ponged(token)
                case Exception():
                    self._failed(reply)

    def _ponged(self, token: bytes) -> None:
        answer = self._pongs.pop(token, None)
        if answer is not None and not answer.done():
            answer.set_result(None)

    async def _collect(self) -> None:
        """Take what the publishing connection receives: the replies to requests, in order."""
        while True:
            reply = await self._publishing.receive()
            if isinstance(reply, Exception):
                self._failed(reply)
            request = self._requests[0]
            request.replies.append(reply)
            if len(request.replies) == request.count:
                self._requests.popleft()
                if not request.answer.done():
                    request.answer.set_result(None)


_S = TypeVar("_S", bound=RedisSession)


class RedisServers:
    """The redis-server of the options, or the master that sentinels name, and what it refuses."""

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        self._logged_refusals: set[str] = set()
        self.refusals = 0
        """How many error replies there were, so far."""

    def parse(self) -> None:
        """Read the sentinels' addresses, and the files that TLS needs.

        Raises:
            BusError: One of them can never work.
        """
        self._options.sentinel_addresses()
        self._options.check_tls()

    async def open(self, make: Callable[[str, Link, Link, Callable[[str], None]], _S]) -> _S:
        """Connect and log in, once, with the session made for it.

        Raises:
            BusUnavailableError: The server is not there, or refuses us.
        """
        server = f"{self._options.host}:{self._options.port}"
        try:
            if self._options.sentinels:
                server = f"master {self._options.sentinel_master}"
                host, port = await find_master(self._options)
                server = f"{host}:{port}"
            else:
                host, port = self._options.host, self._options.port
            listening, publishing = await self._connect(host, port)
            session = make(server, listening, publishing, self._refused)
            try:
                await session.open()
            except BaseException:
                await session.close()
                raise
        except (OSError, RedisError, BusUnavailableError) as error:
            raise BusUnavailableError(f"{server}: {describe(error)}") from error
        return session

    async def _connect(self, host: str, port: int) -> tuple[Link, Link]:
        listening = await Link.open(self._options, host, port)
        try:
            return listening, await Link.open(self._options, host, port)
        except BaseException:
            listening.abort()
            await listening.close()
            raise

    def _refused(self, text: str) -> None:
        self.refusals += 1
        if text not in self._logged_refusals and len(self._logged_refusals) < _MAX_REFUSALS:
            self._logged_refusals.add(text)
            log.warning("redis refused a command", detail=text)
