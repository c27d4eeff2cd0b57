"""Processes that are told what to do, line by line, and answer each by a line."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bench.cluster import BenchError

_ROOT = Path(__file__).parents[1]
_STOP_TIMEOUT = 5.0
_MAX_LINE = 1024 * 1024


class Piped(ABC):
    """One of them, as whoever measures sees it. It ends when its standard input does.

    Args:
        name: What errors call it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: asyncio.subprocess.Process | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return what is run, in the folder of the project.

        Raises:
            BenchError: It cannot be.
        """

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            cwd=_ROOT,
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

    async def tell(self, line: bytes) -> None:
        """Tell it what to do. Whether it has ended is seen by its answer."""
        process = self._running
        assert process.stdin is not None
        process.stdin.write(line + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()

    async def answer(self, within: float | None) -> bytes:
        """Wait for its next line: for so many seconds, or for as long as it runs.

        Raises:
            BenchError: There is none.
        """
        process = self._running
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), within)
        except TimeoutError:
            raise BenchError(f"{self._name} does not answer") from None
        if not line:
            raise BenchError(f"{self._name} has ended")
        return line

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process
