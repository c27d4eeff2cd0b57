import asyncio
import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.php_worker.conftest import Files, Start
from tests.php_worker.fastcgi import Answer, FastCgi
from tests.php_worker.worker import Worker, is_alive, process, sign, until

# The listener, and the one that tells that the supervisor is gone.
OWN_SOCKETS = 2


class Asked:
    """A request of a thread of its own, so that the test can act while it is in hand."""

    def __init__(self, worker: Worker, files: Files, channel: str) -> None:
        self.answer: Answer | None = None
        self._thread = threading.Thread(target=self._ask, args=(worker, channel))
        self._thread.start()
        until(lambda: files.has_begun(channel))

    def result(self) -> Answer:
        """Wait for the answer."""
        self._thread.join(15)
        assert self.answer is not None
        return self.answer

    def _ask(self, worker: Worker, channel: str) -> None:
        with FastCgi(worker.address) as client:
            self.answer = sign(client, channel)


def _booted(worker: Worker, count: int) -> list[int]:
    """Wait until all processes answer, each on a connection of its own, and return them."""
    with ExitStack() as stack:
        clients = [stack.enter_context(FastCgi(worker.address)) for _ in range(count)]
        pids = [process(client)[0] for client in clients]
    assert sorted(worker.children) == sorted(pids)
    return pids


def _pid(worker: Worker) -> int:
    with FastCgi(worker.address) as client:
        return process(client)[0]


def _ended(worker: Worker) -> int:
    return asyncio.run(worker.ended())


@pytest.mark.parametrize("channel", ["private-exit", "private-fatal"])
def test_application_ends_the_process(start: Start, channel: str) -> None:
    """Where the application calls exit(), or dies, the client gets 500 and a new process."""
    worker = start("--workers=1")
    before = _pid(worker)
    with FastCgi(worker.address) as client:
        answer = sign(client, channel)

        assert (500, b'{"error":"Internal error"}') == (answer.status, answer.body)
    assert _pid(worker) != before
    assert f"worker {before} ended with code" in worker.log.read_text()


def test_killed_process(start: Start) -> None:
    """A process that is killed is replaced."""
    worker = start("--workers=2")
    victim = _booted(worker, 2)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(worker.children) == 2 and victim not in worker.children)

    assert f"worker {victim} was killed by signal 9" in worker.log.read_text()
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-free").status


def test_recycling_by_requests(start: Start) -> None:
    """A process answers its share of requests, and the next one goes on without a pause."""
    worker = start("--workers=1", "--max-requests=3")
    pids = []
    for _ in range(12):
        with FastCgi(worker.address) as client:
            pids.append(process(client)[0])

    assert [3, 3, 3, 3] == [pids.count(pid) for pid in dict.fromkeys(pids)]
    assert "ended" not in worker.log.read_text()


def test_recycling_by_memory(start: Start) -> None:
    """A process whose application leaks is replaced when it holds much memory."""
    worker = start("--workers=1", "--max-memory=20M")
    before = _pid(worker)
    for _ in range(2):
        with FastCgi(worker.address) as client:
            assert 200 == sign(client, "private-leak").status
    assert before == _pid(worker)
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-leak").status
        assert client.record() is None

    assert before != _pid(worker)


def test_request_that_hangs(start: Start) -> None:
    """A request that takes too long costs its process, and nobody else."""
    worker = start("--workers=1", "--request-timeout=1")
    before = _pid(worker)
    with FastCgi(worker.address) as client, pytest.raises(AssertionError):
        sign(client, "private-hang")

    assert before != _pid(worker)
    assert f"worker {before} was killed by signal {signal.SIGALRM.value}" in worker.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stopping(start: Start, files: Files, number: signal.Signals) -> None:
    """A request in hand is answered, idle connections are closed, nothing is left."""
    worker = start("--workers=2")
    pid, children = worker.pid, _booted(worker, 2)
    asked = Asked(worker, files, "private-wait-1")
    with FastCgi(worker.address) as idle:
        assert 200 == sign(idle, "private-free").status
        worker.signal(number)
        assert idle.record() is None
    until(lambda: not worker.socket.exists())
    assert is_alive(pid)
    files.go("private-wait-1")

    assert 200 == asked.result().status
    assert 0 == _ended(worker)
    assert not any(is_alive(child) for child in children)


def test_stopping_has_an_end(start: Start) -> None:
    """A request that does not end is killed when the time is over."""
    worker = start("--workers=1", "--stop-timeout=1")
    child = worker.children[0]
    with FastCgi(worker.address) as client:
        thread = threading.Thread(target=_ask_in_vain, args=(client,))
        thread.start()
        until(lambda: _is_sleeping_in_the_application(child))
        worker.signal(signal.SIGTERM)
        thread.join(15)

    assert 0 == _ended(worker)
    assert not is_alive(child)
    assert f"worker {child} is killed before it has stopped" in worker.log.read_text()


def test_second_signal(start: Start, files: Files) -> None:
    """Who asks twice to stop does not have to wait."""
    worker = start("--workers=1", "--stop-timeout=1000")
    with FastCgi(worker.address) as client:
        thread = threading.Thread(target=_ask_in_vain, args=(client, "private-wait-1"))
        thread.start()
        until(lambda: files.has_begun("private-wait-1"))
        worker.signal(signal.SIGTERM)
        # What comes within a second is the same signal, sent to the process and to its group.
        until(lambda: _is_killed_by_another_signal(worker))
        thread.join(15)

    assert 0 == _ended(worker)


def test_same_signal_twice(start: Start, files: Files) -> None:
    """A signal that comes twice at once, as `timeout` sends it, still leaves time."""
    worker = start("--workers=1")
    asked = Asked(worker, files, "private-wait-1")
    worker.signal(signal.SIGTERM)
    until(lambda: "stopping" in worker.log.read_text())
    worker.signal(signal.SIGTERM)
    files.go("private-wait-1")

    assert 200 == asked.result().status
    assert 0 == _ended(worker)
    assert "killed" not in worker.log.read_text()


def test_reloading(start: Start, files: Files) -> None:
    """SIGHUP replaces the processes, which then have new code; the request in hand is answered."""
    files.generation("old")
    worker = start("--workers=3")
    before = set(_booted(worker, 3))
    asked = Asked(worker, files, "private-wait-1")
    files.generation("new")
    worker.signal(signal.SIGHUP)
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-free", keep=False).status
    files.go("private-wait-1")
    assert 200 == asked.result().status
    until(lambda: len(worker.children) == 3 and not before & set(worker.children))
    for _ in range(6):
        with FastCgi(worker.address) as client:
            assert "new" == process(client)[1]["generation"]


@pytest.mark.parametrize("generation", ["broken", "exit"])
def test_reloading_code_that_does_not_boot(start: Start, files: Files, generation: str) -> None:
    """One process is lost to new code that does not boot; the others stay until it is mended."""
    files.generation("old")
    worker = start("--workers=3")
    before = set(_booted(worker, 3))
    files.generation(generation)
    worker.signal(signal.SIGHUP)
    until(lambda: worker.log.read_text().count("the next one starts in") >= 3)

    assert 2 == len(before & set(worker.children))
    for _ in range(4):
        with FastCgi(worker.address) as client:
            assert "old" == process(client)[1]["generation"]
    files.generation("mended")
    until(lambda: len(worker.children) == 3 and not before & set(worker.children))


def test_pauses_between_failures(start: Start, files: Files) -> None:
    """Processes that die young are replaced after pauses that double."""
    worker = start("--workers=1")
    files.generation("broken")
    os.kill(worker.children[0], signal.SIGKILL)
    until(lambda: "in 0.8 s" in worker.log.read_text())
    log = worker.log.read_text()

    assert "this code does not boot" in log
    pauses = [
        line.rpartition(" in ")[2] for line in log.splitlines() if "next one starts in" in line
    ]
    assert ["0.1 s", "0.2 s", "0.4 s", "0.8 s"] == pauses[-4:]


def test_orphans(start: Start, files: Files) -> None:
    """When the supervisor is killed its processes end too, after the request in hand."""
    worker = start("--workers=2")
    children = _booted(worker, 2)
    asked = Asked(worker, files, "private-wait-1")
    with FastCgi(worker.address) as idle:
        assert 200 == sign(idle, "private-free").status
        os.kill(worker.pid, signal.SIGKILL)
        _ended(worker)
        assert idle.record() is None
    files.go("private-wait-1")

    assert 200 == asked.result().status
    until(lambda: not any(is_alive(child) for child in children))


def test_stale_socket(start: Start) -> None:
    """A worker that was killed can be started again at the same place."""
    worker = start("--workers=1")
    worker.kill()
    assert worker.socket.exists()
    asyncio.run(worker.start())
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-free").status


def test_new_connection_while_stopping(start: Start) -> None:
    """A connection that was just made has its first request answered, though the worker stops."""
    worker = start("--workers=1")
    # The connection by which it was seen to have booted is closed.
    until(lambda: _sockets(worker) == OWN_SOCKETS)
    with FastCgi(worker.address) as client:
        until(lambda: _sockets(worker) > OWN_SOCKETS)
        worker.signal(signal.SIGTERM)
        until(lambda: not worker.socket.exists())
        assert 200 == sign(client, "private-free").status
        assert client.record() is None

    assert 0 == _ended(worker)


def test_socket_mode(start: Start) -> None:
    """The socket is for its owner and group, or for whom it is told."""
    assert 0o660 == start().socket.stat().st_mode & 0o777
    assert 0o600 == start("--socket-mode=0600").socket.stat().st_mode & 0o777


def test_without_pcntl(start: Start) -> None:
    """Without the extensions there is one process, which serves until it is recycled or killed."""
    worker = start("--max-requests=2", php_options=["-d", "disable_functions=pcntl_fork"])
    with FastCgi(worker.address) as client:
        assert worker.pid == process(client)[0]
        assert 200 == sign(client, "private-free").status
        assert client.record() is None

    assert 0 == _ended(worker)
    assert not worker.socket.exists()
    assert "there is one worker" in worker.log.read_text()


def _ask_in_vain(client: FastCgi, channel: str = "private-hang") -> None:
    with pytest.raises(AssertionError):
        sign(client, channel)


def _is_sleeping_in_the_application(pid: int) -> bool:
    return "hrtimer_nanosleep" in Path(f"/proc/{pid}/wchan").read_text()


def _sockets(worker: Worker) -> int:
    """Count the sockets of the only process: its own, and that of a connection it has accepted."""
    files = Path(f"/proc/{worker.children[0]}/fd").iterdir()
    return sum(str(file.readlink()).startswith("socket:") for file in files)


def _is_killed_by_another_signal(worker: Worker) -> bool:
    worker.signal(signal.SIGTERM)
    return "is killed before it has stopped" in worker.log.read_text()
