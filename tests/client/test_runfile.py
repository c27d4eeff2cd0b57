import json
import os
import subprocess
from pathlib import Path

import pytest

from pogo.client.runfile import (
    RunFile,
    read_run_file,
    remove_run_file,
    run_file_path,
    write_run_file,
)


@pytest.fixture(name="runtime", autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def run_of(pid: int) -> RunFile:
    """Make the file that a process with this pid would write."""
    return RunFile(
        pid=pid,
        url="http://127.0.0.1:8080",
        broker="127.0.0.1:50051",
        app_id="pogo-app",
        key="pogo-app",
        secret="s3cret",
    )


def finished_pid() -> int:
    """Return the pid of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_is_written_is_read_back() -> None:
    """A live process's file is read as it was written."""
    path = write_run_file(run_of(os.getpid()))

    assert run_file_path() == path
    assert run_of(os.getpid()) == read_run_file()


def test_nobody_else_can_read_it(runtime: Path) -> None:
    """The file is 0600 and its directory 0700, also where the directory was there before."""
    (runtime / "pogo").mkdir(mode=0o755)
    path = write_run_file(run_of(os.getpid()))

    assert 0o600 == path.stat().st_mode & 0o777
    assert 0o700 == path.parent.stat().st_mode & 0o777
    assert [path] == list(path.parent.iterdir())


def test_a_write_that_fails_leaves_nothing() -> None:
    """Where the file cannot be written, the secret does not lie beside it either."""
    path = run_file_path()
    path.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_run_file(run_of(os.getpid()))

    assert [path] == list(path.parent.iterdir())


def test_a_stale_file_is_ignored() -> None:
    """A file whose process has ended does not count."""
    write_run_file(run_of(finished_pid()))

    assert read_run_file() is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"pid": "1"}',
        json.dumps({"pid": 1, "url": 1, "broker": "", "app_id": "", "key": "", "secret": ""}),
        json.dumps({"pid": 0, "url": "", "broker": "", "app_id": "", "key": "", "secret": ""}),
        json.dumps({"pid": 2**70, "url": "", "broker": "", "app_id": "", "key": "", "secret": ""}),
    ],
)
def test_a_broken_file_is_ignored(content: str) -> None:
    """What no `pogo serve` wrote is as good as no file."""
    path = run_file_path()
    path.parent.mkdir()
    path.write_text(content)

    assert read_run_file() is None


def test_the_first_process_exists_for_everybody() -> None:
    """A process of another user counts as alive."""
    write_run_file(run_of(1))

    assert run_of(1) == read_run_file()


def test_only_its_writer_removes_it() -> None:
    """A server that stops leaves alone the file of the one that started after it."""
    path = write_run_file(run_of(1))
    remove_run_file()

    assert path.exists()

    write_run_file(run_of(os.getpid()))
    remove_run_file()
    remove_run_file()

    assert not path.exists()


def test_without_a_runtime_directory_it_is_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime directory that is unset or missing is passed over."""
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "pogo" / "serve.json"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))

    assert expected == run_file_path()

    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert expected == write_run_file(run_of(os.getpid()))


def test_the_secret_is_not_in_its_repr() -> None:
    """A run file can be logged."""
    assert "s3cret" not in repr(run_of(1))
