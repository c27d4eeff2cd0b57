"""Where no container engine can be had, the tests of the stack say so, and why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.engine import NoEngineError, running_engine

ROOT = Path(__file__).parents[2]
_DOCKERD = "#!/bin/sh\necho 'failed to start daemon: {reason}' >&2\nexit 1\n"


def _make_dockerd(folder: Path, reason: str) -> None:
    dockerd = folder / "dockerd"
    dockerd.write_text(_DOCKERD.format(reason=reason))
    dockerd.chmod(0o755)


@pytest.fixture(name="no_engine")
def _no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a machine without an engine, whose kernel forbids to start one."""
    _make_dockerd(tmp_path, "operation not permitted")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    return tmp_path / "data"


def _why(data: Path) -> str:
    with pytest.raises(NoEngineError) as caught, running_engine(data):
        pass
    return str(caught.value)


def test_the_reason_is_that_of_the_engine(no_engine: Path) -> None:
    """Root is told what the engine says; others cannot start one at all."""
    expected = "root alone" if os.geteuid() else "operation not permitted"

    assert expected in _why(no_engine)


def _ask(data: Path) -> "subprocess.CompletedProcess[str]":
    """Ask as CI does."""
    command = [sys.executable, "-m", "tests.stack.engine", str(data)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_ci_can_tell(no_engine: Path) -> None:
    """The exit code is one that no other failure has, and the reason is printed."""
    run = _ask(no_engine)

    assert (3, "") == (run.returncode, run.stderr)
    assert "engine" in run.stdout or "not permitted" in run.stdout


def test_an_engine_that_fails_is_a_failure(no_engine: Path, tmp_path: Path) -> None:
    """What the machine does not forbid has to work: CI must not pass it by."""
    _make_dockerd(tmp_path, "no space left on device")
    run = _ask(no_engine)
    code, expected = (3, "root alone") if os.geteuid() else (1, "no space left on device")

    assert code == run.returncode
    assert expected in run.stdout + run.stderr


@pytest.mark.usefixtures("no_engine")
def test_who_asks_for_the_stack_is_told(tmp_path: Path) -> None:
    """`make test-compose` does not pass where it has tested nothing."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/stack"]
    options = ["--basetemp", str(tmp_path / "pytest")]
    run = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode not in {0, 1}
    assert "THE STACK IS NOT TESTED" in run.stdout + run.stderr
