"""The run file: how a local `pogo serve` without configuration tells publishers its random secret.

It lies in the user's own directories, readable by nobody else, and counts only while the process
that wrote it is alive.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFile:
    """What a running `pogo serve` says about itself."""

    pid: int
    """The process; the file is stale once it is gone."""
    url: str
    """Where browsers connect: `http://HOST:PORT`."""
    broker: str
    """Where publishers connect: `HOST:PORT` of the gRPC server."""
    app_id: str
    key: str
    secret: str = field(repr=False)
    tls: bool = False
    """Whether gRPC speaks TLS. The URL says it itself."""


def run_file_path() -> Path:
    """Name the file: `$XDG_RUNTIME_DIR/pogo/serve.json`, else `~/.local/state/pogo/serve.json`.

    A runtime directory that does not exist is passed over, as in a shell entered by `su`.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime, "pogo", "serve.json")
    return Path.home() / ".local" / "state" / "pogo" / "serve.json"


def write_run_file(run: RunFile) -> Path:
    """Write the file in one step (mode 0600, its directory 0700) and return its path.

    The last server that starts wins.

    Raises:
        OSError: The directory cannot be written.
    """
    path = run_file_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    # mkstemp makes the file 0600, so the secret is never readable by others, not even briefly.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".serve-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(run), file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_run_file() -> RunFile | None:
    """Return what the file says; `None` where there is none, or it is broken or stale."""
    run = _load()
    return run if run is not None and _alive(run.pid) else None


def remove_run_file() -> None:
    """Remove the file if this process wrote it; another server's stays.

    Raises:
        OSError: The file cannot be removed.
    """
    run = _load()
    if run is not None and run.pid == os.getpid():
        run_file_path().unlink(missing_ok=True)


def _load() -> RunFile | None:
    try:
        content = json.loads(run_file_path().read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    values = {name.name: content.get(name.name) for name in fields(RunFile)}
    pid, tls = values.pop("pid"), values.pop("tls")
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    if not isinstance(pid, int) or len(texts) != len(values):
        return None
    # Older versions did not say, as they spoke none.
    return RunFile(pid=pid, tls=tls is True, **texts)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It exists and belongs to somebody else.
        return True
    return True
