"""All workers: started together, kept at work, replaced in turn, and stopped together."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pogo.cli.errors import UsageError
from pogo.cli.start import Flags
from pogo.cli.workers.count import available_cpus
from pogo.cli.workers.errors import WorkerError
from pogo.cli.workers.listeners import Listeners
from pogo.cli.workers.process import WorkerProcess
from pogo.cli.workers.slot import Slot
from pogo.settings import Settings
from pogo.telemetry import get_logger

_STARTS_PER_CPU = 2
"""Workers that start at the same time, for each CPU."""

_OF_THE_PARENT = ("host", "port", "metrics_host", "metrics_port", "workers")
"""Settings that a rolling restart cannot change."""

_log = get_logger()


class Supervisor:
    """The parent of the workers.

    Args:
        settings: Those in force.
        config: Their file, which workers read themselves.
        flags: Settings from the command line, for workers too.
        read: Reads the settings again; raises UsageError if they cannot be used.
        listeners: The sockets for the workers; opened before, and closed after the supervisor.
        workers: How many.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        config: Path | None,
        flags: Flags,
        read: Callable[[], Settings],
        listeners: Listeners,
        workers: int,
    ) -> None:
        self._settings = settings
        self._shutdown_timeout = settings.shutdown_timeout
        self._config = config
        self._flags = flags
        self._read = read
        self._listeners = listeners
        # All at once, many workers on few CPUs would take too long, each of them.
        starts = asyncio.Semaphore(_STARTS_PER_CPU * available_cpus())
        self.slots = [Slot(number, self._launch, starts, listeners) for number in range(workers)]
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start all workers, and begin to look after them.

        The first one goes ahead: what is wrong with the configuration is said once.

        Raises:
            WorkerError: The first one does not get ready.
        """
        first, *others = self.slots
        try:
            await first.start()
            await asyncio.gather(*(_try_to_start(slot) for slot in others))
        except BaseException:
            await self.stop()
            raise
        self._keeping = asyncio.create_task(self._keep())
        self._keeping.add_done_callback(_stop_after)

    def restart(self) -> None:
        """Have all workers replaced in turn, once whatever restart is under way has ended."""
        self._wanted.set()

    async def stop(self) -> None:
        """Have all workers drain at once, and wait until they have ended. Idempotent."""
        keeping, self._keeping = self._keeping, None
        try:
            if keeping is not None:
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping
        finally:
            await asyncio.gather(*(slot.stop() for slot in self.slots))

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for slot in self.slots:
                tasks.create_task(slot.keep(tasks))
            tasks.create_task(self._restart_when_wanted())

    async def _launch(self, number: int, takes_over: bool) -> WorkerProcess:  # noqa: FBT001 - Launch
        try:
            listeners = self._listeners.of(number)
        except OSError as error:
            raise WorkerError(f"worker {number} has nothing to listen on: {error}") from error
        return await WorkerProcess.start(
            number,
            listeners,
            config=self._config,
            flags=self._flags,
            takes_over=takes_over,
            shutdown_timeout=self._shutdown_timeout,
        )

    async def _restart_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                settings = self._read()
            except UsageError as error:
                _log.error("no rolling restart, the old workers stay", reason=str(error))
                continue
            self._shutdown_timeout = settings.shutdown_timeout
            changed = [
                name
                for name in _OF_THE_PARENT
                if getattr(settings, name) != getattr(self._settings, name)
            ]
            if changed:
                _log.warning("other settings have changed and need a restart", settings=changed)
            await self._restart()

    async def _restart(self) -> None:
        """Replace all workers, one after the other."""
        began = time.monotonic()
        _log.info("rolling restart", workers=len(self.slots))
        for slot in self.slots:
            try:
                await slot.replace()
            except WorkerError as error:
                _log.error("rolling restart given up, the other workers stay", reason=str(error))
                return
        _log.info("rolling restart done", seconds=round(time.monotonic() - began, 1))


async def _try_to_start(slot: Slot) -> None:
    """Start a worker; a failure is what looking after it begins with."""
    try:
        await slot.start()
    except WorkerError as error:
        _log.error("worker not started", worker=slot.number, reason=str(error))


def _stop_after(task: asyncio.Task[None]) -> None:
    """Stop the process where nobody looks after the workers any more."""
    if not task.cancelled() and task.exception() is not None:
        signal.raise_signal(signal.SIGTERM)
        _log.error("looking after the workers failed: stopping", exc_info=task.exception())
