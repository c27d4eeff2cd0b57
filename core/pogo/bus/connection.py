"""What a connection to a server is, whatever the server.

A `Connection` lives from its opening to its loss and is never reconnected: a new one takes its
place. So an answer that arrives on a connection always belongs to what was sent on that very
connection, and nothing that was meant for one is left over for the next.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import structlog

from pogo.bus.interface import BusError, BusUnavailableError, Message
from pogo.bus.subscriptions import Interest

log = structlog.get_logger()
_T = TypeVar("_T")

CONFIRM_TIMEOUT = 1.0
"""Seconds that the server has to confirm what was published or subscribed."""

PING_INTERVAL = 1.0
PING_TIMEOUT = 4.0
"""Seconds between an answered ping and the next, and until an unanswered one means that the
server is gone: a server that is frozen or cut off is noticed within five seconds."""

MAX_UNSENT = 64 * 1024 * 1024
"""Bytes written that the server has not taken yet; beyond them it counts as unable to keep up."""


class Connection(ABC):
    """One connection to a server, from its opening to its loss.

    Args:
        server: Where it leads, as host:port, for logs.
        ping_timeout: Seconds until an unanswered ping means that the server is gone.
    """

    def __init__(self, server: str, *, ping_timeout: float = PING_TIMEOUT) -> None:
        self.server = server
        self._ping_timeout = ping_timeout
        # Done, with the reason, as soon as the connection is lost or closed.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # Answers that are to come; they fail with the connection.
        self._expected: set[asyncio.Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Wait until the server has done everything sent so far, for `within` seconds at most.

        Raises:
            BusUnavailableError: It did not confirm in time, or the connection was lost.
        """

    @abstractmethod
    def _abort(self) -> None:
        """Drop the sockets at once, with whatever was not sent yet."""

    def lose(self, reason: str) -> None:
        """Give the connection up: whatever waits for an answer fails now. Idempotent."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self._abort()
        for answer in tuple(self._expected):
            _fail(answer, reason)
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Give the connection up, and wait until nothing of it runs any more."""
        self.lose("closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task whose end, whatever the cause, is the end of the connection."""
        self._watch(asyncio.get_running_loop().create_task(work))

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.lose("the connection is not read any more")
            return
        if not isinstance(error, (OSError, BusError)):
            log.error("connection failed", server=self.server, exc_info=error)
        self.lose(describe(error))

    async def _keep_alive(self) -> None:
        while True:
            await self.flush(self._ping_timeout)
            await asyncio.sleep(PING_INTERVAL)

    def _expect(self) -> asyncio.Future[Any]:
        """Return a future for an answer to come."""
        answer = asyncio.get_running_loop().create_future()
        self._expected.add(answer)
        answer.add_done_callback(self._expected.discard)
        if self.lost.done():
            _fail(answer, self.lost.result())
        return answer

    async def _answer(self, answer: asyncio.Future[_T], within: float) -> _T:
        """Wait for an answer. Whoever brings a late one finds it done: it keeps its place in order.

        Raises:
            BusUnavailableError: It did not come in time, or the connection was lost.
        """
        loop = asyncio.get_running_loop()
        # A timer and nothing else: with `asyncio.wait`, the loop turns twice more. When it runs
        # out, what has arrived is read first: the loop may have stood still.
        timer = loop.call_later(within, loop.call_soon, self._expire, answer, within)
        try:
            return await answer
        finally:
            timer.cancel()

    def _result(self, answer: asyncio.Future[_T], within: float) -> _T:
        self._expire(answer, within)
        return answer.result()

    def _expire(self, answer: asyncio.Future[Any], within: float) -> None:
        """Wait for an answer no longer."""
        if not answer.done():
            _fail(answer, f"no answer from {self.server} within {within:g} s")


class BusConnection(Connection):
    """A connection that carries deliveries."""

    max_payload: int
    """The largest payload, in bytes, that the server takes."""

    @abstractmethod
    def subscribe(self, interests: Sequence[Interest]) -> None:
        """Tell the server of these subjects by the end of the loop's turn."""

    @abstractmethod
    def unsubscribe(self, interest: Interest) -> None:
        """Tell the server that nobody listens any more, by the end of the loop's turn."""

    @abstractmethod
    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Send the messages at once and wait for the server to confirm them: see `Bus.publish`."""

    @abstractmethod
    def post(self, message: Message) -> None:
        """Send one message by the end of the loop's turn: see `Bus.post`."""


def describe(error: BaseException) -> str:
    """Say what went wrong in a few words: some exceptions carry no text."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


def _fail(answer: asyncio.Future[Any], reason: str) -> None:
    """Let an answer be that there is none; nobody may be waiting for it any more."""
    if not answer.done():
        answer.set_exception(BusUnavailableError(reason))
        # Looked at here, so that asyncio does not report what nobody waits for.
        answer.exception()
