"""One worker as a process: how it starts, how it is stopped, and how it ended."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pogo.cli.workers.errors import WorkerError
from pogo.cli.workers.job import Job
from pogo.cli.workers.link import WorkerLink
from pogo.telemetry import get_logger

START_TIMEOUT = 30.0
"""Seconds that a worker may take from its start until it is ready."""

AFTER_DRAINING = 15.0
"""Seconds that a worker may take beyond `shutdown_timeout`, to leave the cluster and end."""

_log = get_logger()


class WorkerProcess:
    """A process that was started; whoever has it must await `stop` or `finish`.

    Args:
        number: Which worker it is.
        stop_timeout: Seconds that it may take to end.
    """

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        link: WorkerLink,
        stop_timeout: float,
    ) -> None:
        self.number = number
        self._process = process
        self._link = link
        self._stop_timeout = stop_timeout
        self._is_asked_to_stop = False
        # When it became ready, on the clock of the event loop.
        self.ready_since = 0.0

    @classmethod
    async def start(
        cls,
        number: int,
        listeners: Sequence[socket.socket],
        *,
        config: Path | None,
        flags: Mapping[str, int | str | None],
        takes_over: bool,
        shutdown_timeout: float,
    ) -> Self:
        """Start a process; it is not ready yet.

        Raises:
            WorkerError: There can be no process.
        """
        ours, theirs = socket.socketpair()
        job = Job(
            number=number,
            config=None if config is None else str(config),
            flags=flags,
            listeners=[sock.fileno() for sock in listeners],
            link=theirs.fileno(),
            takes_over=takes_over,
        )
        with theirs:
            try:
                # -P: the working directory is none to import from, as for the `pogo` command.
                # A session of its own: Ctrl-C is for the parent, which stops its workers.
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "pogo.cli", "edge-worker", job.encode()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[*job.listeners, job.link],
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise WorkerError(f"worker {number} cannot be started: {error}") from error
        link = WorkerLink(ours)
        await link.open()
        return cls(number, process, link, shutdown_timeout + AFTER_DRAINING)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it serves.

        Raises:
            WorkerError: It has ended, or takes too long.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._link.ready()
        except TimeoutError:
            raise WorkerError(
                f"worker {self.number} was not ready after {START_TIMEOUT:g} s"
            ) from None
        except ConnectionError:
            await self.finish()
            ended = self._process.returncode or 0
            how = _describe(ended)
            facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in how.items())
            raise WorkerError(
                f"worker {self.number} ended before it was ready: {facts}", max(ended, 1)
            ) from None
        self.ready_since = asyncio.get_running_loop().time()

    async def metrics(self) -> bytes:
        """Ask for its metrics page.

        Raises:
            ConnectionError: It does not answer any more.
        """
        return await self._link.metrics()

    async def withdrawn(self) -> None:
        """Wait until it takes no more clients: it stops, or has ended."""
        await self._link.withdrawn.wait()

    async def stop(self) -> None:
        """Have it drain and end, and wait for that. Idempotent."""
        if not self._is_asked_to_stop:
            # Once: it takes a second signal for the wish to be quick.
            self._is_asked_to_stop = True
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        await self.finish()

    async def finish(self) -> Mapping[str, int | str]:
        """Wait until it has ended, and kill it if it takes too long; returns how it ended."""
        try:
            async with asyncio.timeout(self._stop_timeout):
                await self._process.wait()
        except TimeoutError:
            _log.error(
                "worker killed: it did not end in time",
                worker=self.number,
                worker_pid=self.pid,
                seconds=self._stop_timeout,
            )
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._link.close()
        return _describe(self._process.returncode or 0)


def _describe(returncode: int) -> Mapping[str, int | str]:
    """Say how a process ended, as facts for a log."""
    if returncode >= 0:
        return {"exit_code": returncode}
    with contextlib.suppress(ValueError):
        return {"signal": signal.Signals(-returncode).name}
    return {"signal": -returncode}
