"""The place of a worker, with processes that know the link to their parent, and nothing else."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pogo.cli.workers import process
from pogo.cli.workers.errors import WorkerError
from pogo.cli.workers.link import WorkerLink
from pogo.cli.workers.listeners import Listeners
from pogo.cli.workers.process import WorkerProcess
from pogo.cli.workers.slot import Slot
from pogo.cli.workers.supervisor import Supervisor
from pogo.settings import load_settings
from tests.edge.helpers import eventually
from tests.servers import HOST

WORKER = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[2])))
link = socket.socket(fileno=int(sys.argv[1]))
link.sendall(bytes(4))
while link.recv(1):
    link.sendall(bytes(4))
"""
"""It is ready at once, and has an empty page of metrics."""


class Site:
    """One slot, and what it has started."""

    def __init__(self, starts: int = 2) -> None:
        self.starts = asyncio.Semaphore(starts)
        self.listeners = Listeners(HOST, 0, 2)
        self.slot = self.make_slot(0)
        self.started: list[WorkerProcess] = []
        self.can_start = True
        self.exit_code = 0
        self.stop_timeout = 10.0

    def make_slot(self, number: int) -> Slot:
        """Make another one, which shares the room for starts."""
        return Slot(number, self.launch, self.starts, self.listeners)

    async def launch(self, number: int, takes_over: bool) -> WorkerProcess:  # noqa: FBT001 - Launch
        """Start a process."""
        del takes_over
        if not self.can_start:
            raise WorkerError("there can be none")
        ours, theirs = socket.socketpair()
        with theirs:
            started = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WORKER, str(theirs.fileno()), str(self.exit_code)),
                pass_fds=[theirs.fileno()],
            )
        link = WorkerLink(ours)
        await link.open()
        self.started.append(WorkerProcess(number, started, link, self.stop_timeout))
        return self.started[-1]

    async def until_started(self, count: int) -> None:
        """Wait until so many processes have become ready."""
        await eventually(lambda: sum(one.ready_since > 0 for one in self.started) == count)


@contextlib.asynccontextmanager
async def kept(site: Site) -> AsyncIterator[None]:
    """Have the slot kept."""
    await site.listeners.open()
    await site.slot.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(site.slot.keep(tasks))
            yield
            keeping.cancel()
    finally:
        await site.slot.stop()
        await site.listeners.close()


async def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed when it has not answered for some looks; one that answers is left alone."""
    monkeypatch.setattr(process, "LOOK_INTERVAL", 0.1)
    site = Site()
    with capture_logs() as logs:
        async with kept(site):
            await asyncio.sleep(0.1 * 2 * process.LOOKS)
            replaced_before = len(site.started)
            os.kill(site.started[0].pid, signal.SIGSTOP)
            await site.until_started(2)
            answer = await site.slot.metrics()

    events = [line["event"] for line in logs if line["log_level"] == "error"]
    assert 1 == replaced_before
    assert ["worker killed: it does not answer", "worker ended unasked"] == events
    assert b"" == answer


async def test_scrapes_do_not_hide_a_worker_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there may be wait for it, and the looks go on."""
    monkeypatch.setattr(process, "LOOK_INTERVAL", 0.1)
    site = Site()
    async with kept(site):
        os.kill(site.started[0].pid, signal.SIGSTOP)
        scrapes = await asyncio.gather(*(site.slot.metrics() for _ in range(40)))
        await site.until_started(2)

    assert {None} == set(scrapes)


async def test_a_rolling_restart_ends_a_pause() -> None:
    """The worker that it puts in the place is looked after at once, and not after the pause."""
    site = Site()
    async with kept(site):
        site.can_start = False
        for _ in range(10):
            site.slot._backoff.failed()  # noqa: SLF001 (up to the longest pause)
        os.kill(site.started[0].pid, signal.SIGKILL)
        await eventually(lambda: site.slot.restarts == 1)
        site.can_start = True
        await site.slot.replace()
        os.kill(site.started[1].pid, signal.SIGKILL)
        await eventually(lambda: site.slot.restarts == 2)


async def test_a_worker_that_does_not_end_well_when_replaced() -> None:
    """Its clients were cut off, perhaps: that is said."""
    site = Site()
    site.exit_code = 3
    with capture_logs() as logs:
        async with kept(site):
            await site.slot.replace()

    (line,) = [line for line in logs if line["event"] == "worker ended badly"]
    assert (0, site.started[0].pid, 3) == (line["worker"], line["worker_pid"], line["exit_code"])


async def test_a_worker_that_does_not_stop_is_killed() -> None:
    """When it should have ended long ago."""
    site = Site()
    site.stop_timeout = 0.2
    with capture_logs() as logs:
        async with kept(site):
            os.kill(site.started[0].pid, signal.SIGSTOP)

    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert "worker killed: it did not end in time" == line["event"]
    assert (0, site.started[0].pid) == (line["worker"], line["worker_pid"])


async def test_restarts_that_are_asked_for_meanwhile_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever changed the configuration during a restart gets one more, and no more than one."""
    site = Site()
    settings = load_settings(None, {})

    async def start(number: int, *_: object, **__: object) -> WorkerProcess:
        return await site.launch(number, takes_over=True)

    monkeypatch.setattr(WorkerProcess, "start", start)
    supervisor = Supervisor(
        settings,
        config=None,
        flags={},
        read=lambda: settings,
        listeners=site.listeners,
        workers=2,
    )
    await site.listeners.open()
    await supervisor.start()
    with capture_logs() as logs:

        def count(event: str) -> int:
            return sum(line["event"] == event for line in logs)

        supervisor.restart()
        await site.until_started(3)
        for _ in range(3):
            supervisor.restart()
        await eventually(lambda: count("rolling restart done") == 2)
        # A third one would begin without a pause.
        begun = count("rolling restart")
        await supervisor.stop()
        await site.listeners.close()

    assert 2 == begun
    assert 6 == len(site.started)


async def test_few_workers_start_at_the_same_time() -> None:
    """The others wait for them: all at once, none would be ready in time."""
    site = Site(starts=2)
    slots = [site.make_slot(number) for number in range(6)]
    most = 0

    async def start(slot: Slot) -> None:
        nonlocal most
        await slot.start()
        most = max(most, sum(one.ready_since == 0 for one in site.started))

    await asyncio.gather(*(start(slot) for slot in slots))
    await asyncio.gather(*(slot.stop() for slot in slots))

    assert 6 == len(site.started)
    assert 1 <= most <= 2


async def test_no_descriptors_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what a worker cannot start for, and no reason to stop the others."""

    def none_left() -> tuple[socket.socket, socket.socket]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(WorkerError, match=r"worker 3 cannot be started: .*Too many open files"):
        await WorkerProcess.start(
            3, [], config=None, flags={}, takes_over=False, shutdown_timeout=1.0
        )
