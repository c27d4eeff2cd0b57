import os
import subprocess
from pathlib import Path

import pytest

from tests.php_worker.worker import ENVIRONMENT, EXAMPLE, PHP


def _run(*args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a worker that ends by itself."""
    command = ["php", str(PHP / "worker" / "worker.php"), *args]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=20)


def test_help() -> None:
    """Help goes to standard output."""
    done = _run("--help")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("Usage: php worker.php --listen=ADDRESS")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ([], "--listen must be"),
        (["--listen=192.0.2.1:9100", f"--app={EXAMPLE}"], "cannot listen on 192.0.2.1:9100"),
        (["--listen=127.0.0.1:0", "--app="], "POGO_AUTH_APP"),
        (["--listen=127.0.0.1:0", "--app=/nowhere"], "no application at /nowhere"),
        (["--listen=127.0.0.1:0", "--app=/tmp"], "no bootstrap/app.php"),
        (["--listen=127.0.0.1:0", f"--app={EXAMPLE}", "--workers=none"], "--workers"),
        (["--listen=127.0.0.1:0", f"--app={EXAMPLE}", "extra"], "extra is no option"),
        (["--listen=unix:/nowhere/a.sock", f"--app={EXAMPLE}"], "a.sock: its folder is not there"),
    ],
)
def test_mistakes(args: list[str], reason: str) -> None:
    """What cannot be done is said in one line, with the exit code for it."""
    done = _run(*args, **ENVIRONMENT)

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("pogo: ")
    assert reason in done.stderr
    assert 1 == len(done.stderr.splitlines())


@pytest.mark.parametrize("missing", ["POGO_APP_ID", "POGO_APP_SECRET"])
def test_missing_settings(missing: str) -> None:
    """Without the app's credentials nothing starts."""
    environment = {**ENVIRONMENT, "POGO_AUTH_APP": str(EXAMPLE)}
    del environment[missing]
    done = _run("--listen=127.0.0.1:0", **environment)

    assert 2 == done.returncode
    assert "pogo: " in done.stderr


def test_bad_master_key(tmp_path: Path) -> None:
    """A master key that is none is found before the socket is there, and not shown."""
    socket = tmp_path / "a.sock"
    environment = {**ENVIRONMENT, "POGO_ENCRYPTION_MASTER_KEY_BASE64": "c3dvcmRmaXNo"}
    done = _run(f"--listen=unix:{socket}", f"--app={EXAMPLE}", **environment)

    assert 2 == done.returncode
    assert "32 bytes" in done.stderr
    assert "swordfish" not in done.stderr
    assert not socket.exists()
