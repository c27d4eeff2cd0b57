"""The place of one worker: there is a process in it, or one on the way."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pogo.cli.workers.backoff import Backoff
from pogo.cli.workers.errors import WorkerError
from pogo.cli.workers.listeners import Listeners
from pogo.cli.workers.process import ENDED_WELL, WorkerProcess
from pogo.telemetry import get_logger

SCRAPE_TIMEOUT = 2.0
"""Seconds that a worker has to say what it counts: Prometheus itself waits for 10."""

Launch = Callable[[int, bool], Awaitable[WorkerProcess]]
"""Starts the process of a worker: which one, and whether it takes over from one that serves.

Raises:
    WorkerError: There can be none.
"""

_log = get_logger()


class Slot:
    """Keeps one worker at work.

    Args:
        number: Which worker it is.
        launch: Starts its processes.
        starts: Has room for those that may start at the same time, of all slots.
        listeners: The sockets of all workers.
    """

    def __init__(
        self, number: int, launch: Launch, starts: asyncio.Semaphore, listeners: Listeners
    ) -> None:
        self.number = number
        self._launch = launch
        self._starts = starts
        self._listeners = listeners
        self._backoff = Backoff()
        # The worker that serves, if any; and all processes that have not ended.
        self._worker: WorkerProcess | None = None
        self._processes: set[WorkerProcess] = set()
        # Whoever starts a worker.
        self._starting = asyncio.Lock()
        # Set when a rolling restart has filled the place, which ends any pause.
        self._filled = asyncio.Event()
        self.restarts = 0
        """How often a worker was missing that nobody had stopped."""

    async def start(self) -> None:
        """Start the first worker.

        Raises:
            WorkerError: It does not get ready.
        """
        self._worker = await self._start(takes_over=False)

    async def keep(self, tasks: asyncio.TaskGroup) -> None:
        """Have a worker at work until cancelled. `tasks` see off what has left the place."""
        pause = 0.0 if self._worker is not None else self._backoff.failed()
        while True:
            if self._worker is None:
                await self._come_back(pause)
            worker = self._worker
            assert worker is not None
            await worker.withdrawn()
            if worker is not self._worker:
                continue  # another one has taken over
            self._worker = None
            self.restarts += 1
            lived = asyncio.get_running_loop().time() - worker.ready_since
            pause = self._backoff.failed(lived)
            tasks.create_task(self._see_off(worker))

    async def replace(self) -> None:
        """Put a new worker in the place, and have the old one drain and end.

        Raises:
            WorkerError: The new one cannot serve; the old one stays.
        """
        async with self._starting:
            new = await self._start(takes_over=self._worker is not None)
            old, self._worker = self._worker, new
            self._filled.set()
        if old is not None:
            how = await old.stop()
            self._processes.discard(old)
            if how != ENDED_WELL:
                _log.error("worker ended badly", worker=self.number, worker_pid=old.pid, **how)

    async def metrics(self) -> bytes | None:
        """Return the worker's metrics page; `None` if it does not answer."""
        if self._worker is not None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(SCRAPE_TIMEOUT):
                    return await self._worker.metrics()
        return None

    async def stop(self) -> None:
        """Have all processes drain and end. Nobody may keep the place any more. Idempotent."""
        self._worker = None
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()

    async def _come_back(self, pause: float) -> None:
        """Start workers until one gets ready, after ever longer pauses."""
        while self._worker is None:
            if pause:
                _log.info("worker will be restarted", worker=self.number, seconds=round(pause, 1))
                async with self._starting:
                    if self._worker is None:
                        self._filled.clear()
                        self._listeners.withdraw(self.number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._filled.wait()
            async with self._starting:
                # A rolling restart may have been quicker.
                if self._worker is None:
                    try:
                        self._worker = await self._start(takes_over=False)
                    except WorkerError as error:
                        _log.error("worker not started", worker=self.number, reason=str(error))
                        pause = self._backoff.failed()

    async def _start(self, *, takes_over: bool) -> WorkerProcess:
        async with self._starts:
            worker = await self._launch(self.number, takes_over)
            self._processes.add(worker)
            try:
                await worker.ready()
            except WorkerError:
                await worker.stop()
                self._processes.discard(worker)
                raise
        _log.info("worker ready", worker=self.number, worker_pid=worker.pid)
        return worker

    async def _see_off(self, worker: WorkerProcess) -> None:
        how = await worker.finish()
        self._processes.discard(worker)
        _log.error("worker ended unasked", worker=self.number, worker_pid=worker.pid, **how)
