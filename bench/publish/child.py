"""Processes that do what they are told, one job after the other, each a line of JSON."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec
import structlog
import uvloop

from bench.cluster import BenchError

_STOP_TIMEOUT = 5.0
_JOB_TIMEOUT = 60.0
_MAX_LINE = 1024 * 1024

_Job = TypeVar("_Job", bound=msgspec.Struct)
_Reply = TypeVar("_Reply", bound=msgspec.Struct)


class _Failed(msgspec.Struct, frozen=True):
    """What a process answers that could not do its job."""

    failed: str = ""


class Child(Generic[_Job, _Reply]):
    """A process, as whoever measures sees it. It ends when its standard input does.

    Args:
        module: What it runs, with `do_jobs`.
        reply: What it answers.
    """

    def __init__(self, module: str, reply: type[_Reply], *arguments: str) -> None:
        self._module = module
        self._reply = reply
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, *self._arguments),
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MAX_LINE,
            # Ctrl-C is for the measuring process alone.
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    async def do(self, job: _Job, within: float = _JOB_TIMEOUT) -> _Reply:
        """Have a job done, and wait until it is.

        Raises:
            BenchError: It could not be done, or not within so many seconds.
        """
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), within)
        except TimeoutError:
            raise BenchError(f"{self._module} does not answer") from None
        if not line:
            raise BenchError(f"{self._module} has ended")
        failed = msgspec.json.decode(line, type=_Failed).failed
        if failed:
            raise BenchError(f"{self._module}: {failed}")
        return msgspec.json.decode(line, type=self._reply)

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process


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
