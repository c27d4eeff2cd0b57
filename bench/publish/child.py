"""Processes that do what they are told, one job after the other, each a line of JSON."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec
import structlog
import uvloop

from bench.cluster import BenchError
from bench.piped import Piped

_JOB_TIMEOUT = 60.0

_Job = TypeVar("_Job", bound=msgspec.Struct)
_Reply = TypeVar("_Reply", bound=msgspec.Struct)


class _Failed(msgspec.Struct, frozen=True):
    """What a process answers that could not do its job."""

    failed: str = ""


class Child(Piped, Generic[_Job, _Reply]):
    """A process, as whoever measures sees it.

    Args:
        module: What it runs, with `do_jobs`.
        reply: What it answers.
    """

    def __init__(self, module: str, reply: type[_Reply], *arguments: str) -> None:
        super().__init__(module)
        self._reply = reply
        self._arguments = arguments

    def command(self) -> Sequence[str]:
        """Return what is run."""
        return sys.executable, "-m", self._name, *self._arguments

    async def do(self, job: _Job, within: float = _JOB_TIMEOUT) -> _Reply:
        """Have a job done, and wait until it is.

        Raises:
            BenchError: It could not be done, or not within so many seconds.
        """
        await self.tell(msgspec.json.encode(job))
        line = await self.answer(within)
        failed = msgspec.json.decode(line, type=_Failed).failed
        if failed:
            raise BenchError(f"{self._name}: {failed}")
        return msgspec.json.decode(line, type=self._reply)


def do_jobs(
    kind: type[_Job],
    do: Callable[[_Job], Awaitable[msgspec.Struct]],
    stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Be such a process: do the jobs that come, on one event loop, until there are no more."""
    # Standard output is for answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(_do_jobs(kind, do, stop))


async def _do_jobs(
    kind: type[_Job],
    do: Callable[[_Job], Awaitable[msgspec.Struct]],
    stop: Callable[[], Awaitable[None]] | None,
) -> None:
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        try:
            reply = await do(msgspec.json.decode(line, type=kind))
        except (BenchError, OSError) as error:
            reply = _Failed(str(error))
        sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
        sys.stdout.buffer.flush()
    if stop is not None:
        await stop()
