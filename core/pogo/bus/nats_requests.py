"""Questions to JetStream, and the answers that are waited for.

Each answer comes to a subject of its own below the connection's inbox; its last token is a number.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from pogo.bus.nats_messages import Headers

Answer = tuple[Headers, bytes]
"""The headers and the payload of one answer."""


class _Question(Protocol):
    def take(self, number: int, headers: Headers, data: bytes) -> bool:
        """Take one answer, and tell whether it was the last for that number."""


class Many:
    """Questions that have one answer each: numbers that follow one another."""

    __slots__ = ("_first", "_left", "answers", "done")

    def __init__(self, first: int, count: int, done: asyncio.Future[None]) -> None:
        self._first = first
        self._left = count
        self.done = done
        # In the order of the questions; `None` where none has come.
        self.answers: list[Answer | None] = [None] * count

    def take(self, number: int, headers: Headers, data: bytes) -> bool:
        """Take one answer."""
        self.answers[number - self._first] = headers, data
        self._left -= 1
        if not self._left:
            finish(self.done)
        return True


class Stream:
    """A question whose answers end with one that has a status."""

    __slots__ = ("answers", "done", "end")

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.answers: list[Answer] = []
        self.end = Headers(b"")

    def take(self, number: int, headers: Headers, data: bytes) -> bool:
        """Take one answer, or the end of them."""
        del number
        if not headers.status:
            self.answers.append((headers, data))
            return False
        self.end = headers
        finish(self.done)
        return True


class Questions:
    """All questions that were asked on one connection and not answered yet.

    Args:
        expect: Makes a future that fails with the connection.
    """

    def __init__(self, inbox: bytes, expect: Callable[[], asyncio.Future[None]]) -> None:
        self._inbox = inbox
        self._expect = expect
        self._open: dict[int, _Question] = {}
        self._numbers = 0

    def stream(self) -> tuple[Stream, bytes]:
        """Ask for many answers."""
        question = Stream(self._expect())
        return question, self._add(question)

    def many(self, count: int) -> tuple[Many, list[bytes]]:
        """Ask several that are waited for together."""
        question = Many(self._numbers + 1, count, self._expect())
        return question, [self._add(question) for _ in range(count)]

    def answered(self, subject: bytes, headers: Headers, data: bytes) -> None:
        """Take an answer; one that comes too late is nobody's."""
        number = int(subject[len(self._inbox) + 1 :])
        question = self._open.get(number)
        if question is not None and question.take(number, headers, data):
            del self._open[number]

    def forget(self, replies: list[bytes]) -> None:
        """Wait no longer for what has not been answered."""
        for reply in replies:
            self._open.pop(int(reply[len(self._inbox) + 1 :]), None)

    def _add(self, question: _Question) -> bytes:
        self._numbers += 1
        self._open[self._numbers] = question
        return b"%b.%d" % (self._inbox, self._numbers)


def finish(done: asyncio.Future[None]) -> None:
    """Let whoever waits go on, if anyone does still."""
    if not done.done():
        done.set_result(None)
