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

LOOK_INTERVAL = 10.0
"""Seconds between two looks at whether a worker answers."""

LOOKS = 3
"""Looks without an answer in between after which a worker hangs: as long as it gives a client. Not
seconds, which pass for a machine that is suspended, too."""

AFTER_DRAINING = 15.0
"""Seconds that a worker may take beyond `shutdown_timeout`, to leave the cluster and end."""

ENDED_WELL = {"exit_code": 0}
"""How a worker ends that has drained."""

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
        with contextlib.ExitStack() as ours_until_started:
            try:
                ours, theirs = socket.socketpair()
                ours_until_started.enter_context(ours)
                with theirs:
                    job = Job(
                        number=number,
                        config=None if config is None else str(config),
                        flags=flags,
                        listeners=[sock.fileno() for sock in listeners],
                        link=theirs.fileno(),
                        takes_over=takes_over,
                    )
                    process = await _spawn(job)
            except OSError as error:
                raise WorkerError(f"worker {number} cannot be started: {error}") from error
            link = WorkerLink(ours)
            await link.open()
            ours_until_started.pop_all()
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
        """Wait until it takes no more clients: it stops, or has ended. One that hangs is killed."""
        link = self._link
        heard = looks = 0
        while not link.withdrawn.is_set():
            looks = looks + 1 if link.heard == heard else 0
            heard = link.heard
            if looks == LOOKS:
                self._kill("it does not answer", LOOKS * LOOK_INTERVAL)
            link.poke()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await link.withdrawn.wait()

    async def stop(self) -> Mapping[str, int | str]:
        """Have it drain and end, and wait for that; returns how it ended. Idempotent."""
        if not self._is_asked_to_stop:
            # Once: it takes a second signal for the wish to be quick.
            self._is_asked_to_stop = True
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        return await self.finish()

    async def finish(self) -> Mapping[str, int | str]:
        """Wait until it has ended, and kill it if it takes too long; returns how it ended."""
        try:
            async with asyncio.timeout(self._stop_timeout):
                await self._process.wait()
        except TimeoutError:
            self._kill("it did not end in time", self._stop_timeout)
            await self._process.wait()
        await self._link.close()
        return _describe(self._process.returncode or 0)

    def _kill(self, reason: str, seconds: float) -> None:
        _log.error(
            f"worker killed: {reason}", worker=self.number, worker_pid=self.pid, seconds=seconds
        )
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


async def _spawn(job: Job) -> asyncio.subprocess.Process:
    """Start the process that does a job.

    Raises:
        OSError: There can be none.
    """
    return await asyncio.create_subprocess_exec(
        # -P: the working directory is none to import from, as for the `pogo` command.
        *(sys.executable, "-P", "-m", "pogo.cli", "edge-worker", job.encode()),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=[*job.listeners, job.link],
        # A session of its own: Ctrl-C is for the parent, which stops its workers.
        start_new_session=True,
    )


def _describe(returncode: int) -> Mapping[str, int | str]:
    """Say how a process ended, as facts for a log."""
    if returncode >= 0:
        return {"exit_code": returncode}
    with contextlib.suppress(ValueError):
        return {"signal": signal.Signals(-returncode).name}
    return {"signal": -returncode}
