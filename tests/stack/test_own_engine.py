"""An engine of our own ends with the run that started it, and no two runs share one."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack.engine import EngineError, NoEngineError, running_engine
from tests.stack.orders import wait_until

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
TIMEOUT = 60.0

_RUN = """\
import sys
from pathlib import Path
from tests.stack.engine import running_engine

with running_engine(Path(sys.argv[1])):
    print("up", flush=True)
    input()
"""


@pytest.fixture(name="data")
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for an engine, whether another one runs here or not."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    return tmp_path / "data"


@contextmanager
def _run(data: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have a process that runs an engine."""
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(data)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "up\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def _forbidden(data: Path) -> bool:
    """Say whether this machine lets nobody start one, and has another one that runs."""
    try:
        with running_engine(data):
            return False
    except NoEngineError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_its_run(data: Path, number: signal.Signals) -> None:
    """However the run ends, its engine does too, and the next one has the folder for itself."""
    if _forbidden(data):
        return
    with _run(data) as process:
        engine = Path("/proc") / (data / "dockerd.pid").read_text()
        sockets = Path((data / "lock").read_text())
        assert engine.exists()
        process.send_signal(number)
        process.wait(TIMEOUT)
        wait_until(lambda: not engine.exists())

    assert (number == signal.SIGKILL) == sockets.exists()
    with running_engine(data) as again:
        assert not sockets.exists()
        assert "" == again.docker("ps", "--all", "--quiet")


def test_two_runs_at_once(data: Path) -> None:
    """The second is told of the first, which goes on."""
    if _forbidden(data):
        return
    with _run(data):
        with pytest.raises(EngineError, match="another run"), running_engine(data):
            pass

        assert (Path("/proc") / (data / "dockerd.pid").read_text()).exists()
