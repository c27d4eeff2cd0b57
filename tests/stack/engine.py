"""A container engine: the one that runs here, or else one of our own for as long as it is needed.

    with running_engine() as engine:
        engine.docker("ps")

As a program it says whether there can be one: its exit code is 3 where the machine forbids it, and
1 where something else went wrong.

Ours keeps its images in .make/, so that the next run has them. It needs root, and gives containers
no way out of their networks: it changes no rule of the machine's firewall. It ends with the process
that started it, however that ends.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import Any

from tests.deploy.compose import ROOT, compose_config

DATA = ROOT / ".make" / "engine-data"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
_COMMAND_TIMEOUT = 60.0
_NO_ENGINE = 3
# From nothing: a Debian, and five images made from it.
_IMAGES_TIMEOUT = 900.0
_LOOK_AGAIN = 0.2

_PROBE = "pogo-probe"
# What a program needs that is in no image.
_PROGRAMS = [Path("/bin"), Path("/lib"), Path("/lib64"), Path("/usr")]

# How a kernel refuses what an engine does, or lacks it.
_FORBIDDEN = re.compile(
    r"operation not permitted|permission denied|invalid argument|read-only file system"
    r"|not supported|not implemented|no such device|isn't mounted",
    re.IGNORECASE,
)
_NOISE = re.compile(r" level=(?:debug|info|warning) ")
_ARG = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (\S+)", re.MULTILINE)


class EngineError(Exception):
    """A command or the engine failed."""


class NoEngineError(Exception):
    """No engine runs, and the machine lets us start none."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that runs."""

    environment: Mapping[str, str]
    """With which `docker` and Docker Compose find it."""

    def docker(self, *arguments: str, timeout: float = _COMMAND_TIMEOUT) -> str:
        """Run a command of docker, and return what it says.

        Raises:
            EngineError: It failed.
        """
        return self.run(["docker", *arguments], timeout=timeout)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command that finds the engine, and return what it says.

        Raises:
            EngineError: It failed.
        """
        done = subprocess.run(
            command,
            env={**self.environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise EngineError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def have_images(self) -> None:
        """See to it that the images are there which others make: pulled, or stand-ins.

        Raises:
            EngineError: They cannot be had.
        """
        bins = ROOT / ".venv" / "bin"
        command = [str(ROOT / "scripts" / "stand-in-images"), str(bins), *foreign_images()]
        self.run(command, timeout=_IMAGES_TIMEOUT)


def foreign_images() -> list[str]:
    """Name the images that the stack is made of and that others make."""
    images: set[str] = set()
    for bus in ("nats", "redis"):
        for name, service in compose_config(POGO_BUS=bus)["services"].items():
            if "build" in service:
                images |= _bases(ROOT / service["build"]["dockerfile"])
            elif name != "grafana":  # which Debian does not have
                images.add(service["image"])
    return sorted(images)


def _bases(dockerfile: Path) -> set[str]:
    text = dockerfile.read_text()
    values: dict[str, Any] = dict(_ARG.findall(text))
    return {re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], name) for name in _FROM.findall(text)}


@contextmanager
def running_engine(data: Path = DATA) -> Iterator[Engine]:
    """Find the engine that runs here, or run one that keeps what it has in a folder.

    Raises:
        NoEngineError: The machine forbids it.
        EngineError: Ours failed.
    """
    engine = Engine({"PATH": _path(), **_inherited()})
    if _answers(engine):
        yield engine
        return
    with _terminated_in_order(), _own_engine(data) as own:
        yield own


def _path() -> str:
    return os.pathsep.join(
        [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    )


def _inherited() -> dict[str, str]:
    names = ("HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")
    return {name: os.environ[name] for name in names if name in os.environ}


def _answers(engine: Engine) -> bool:
    try:
        engine.docker("version", "--format", "{{.Server.Version}}")
    except (EngineError, FileNotFoundError):
        return False
    return True


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Have SIGTERM end this process as Ctrl-C does: with all that is undone on the way out."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # `timeout` and make both send one.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _own_engine(data: Path) -> Iterator[Engine]:
    dockerd = shutil.which("dockerd", path=_path())
    if dockerd is None:
        raise NoEngineError("no container engine answers, and there is no dockerd to start")
    if os.geteuid() != 0:
        raise NoEngineError("no container engine answers, and root alone can start one")
    data.mkdir(parents=True, exist_ok=True)
    with _alone(data) as sockets:
        address = f"unix://{sockets}/docker.sock"
        command = [
            *("setpriv", "--pdeathsig", "TERM", dockerd),
            *("--host", address, "--pidfile", str(data / "dockerd.pid")),
            *("--data-root", str(data / "data"), "--exec-root", f"{sockets}/exec"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none"),
        ]
        engine = Engine({"PATH": _path(), **_inherited(), "DOCKER_HOST": address})
        with _running(command, engine, data / "dockerd.log"):
            yield engine


@contextmanager
def _alone(data: Path) -> Iterator[Path]:
    """Hold the folder, as two engines cannot have one, and give another one for sockets.

    That one's name is short wherever the tree is, as those of sockets have to be. It is written
    down, so that the next run removes what a killed one left.
    """
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(f"another run has its engine in {data}") from None
        _await_leftover(data)
        lock.seek(0)
        if leftover := lock.read():
            _remove(Path(leftover))
        sockets = Path(mkdtemp(prefix="pogo-engine-"))
        lock.truncate(0)
        lock.write(str(sockets))
        lock.flush()
        try:
            yield sockets
        finally:
            _remove(sockets)


def _remove(sockets: Path) -> None:
    # What is mounted cannot be removed.
    umount = ["umount", str(sockets / "exec" / "netns" / "default")]
    subprocess.run(umount, capture_output=True, check=False)
    shutil.rmtree(sockets, ignore_errors=True)


def _await_leftover(data: Path) -> None:
    """Wait for the end of an engine whose run was killed: it was told so, too."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while (pid := _pid_of_engine(data)) is not None:
        if time.monotonic() > deadline:
            raise EngineError(f"the engine of another run does not end: process {pid}")
        time.sleep(_LOOK_AGAIN)


def _pid_of_engine(data: Path) -> int | None:
    try:
        pid = int((data / "dockerd.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid if str(data) in command else None


@contextmanager
def _running(command: Sequence[str], engine: Engine, log: Path) -> Iterator[None]:
    # In a session of its own, as Ctrl-C must not end it before what runs in it.
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=engine.environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        _wait_until_up(engine, process, log)
        _probe(engine)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        finally:
            process.kill()
            process.wait()


def _wait_until_up(engine: Engine, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(engine):
            return
        time.sleep(_LOOK_AGAIN)
    lines = log.read_text(errors="replace").splitlines()
    said = "\n".join([line for line in lines if not _NOISE.search(line)][-5:])
    if process.returncode is not None and _FORBIDDEN.search(said):
        raise NoEngineError(f"dockerd does not start here:\n{said}")
    raise EngineError(f"dockerd did not start; {log} ends with\n{said}")


def _probe(engine: Engine) -> None:
    """Run a container in a network: an engine may start where it can do neither."""
    folders = [f"--volume={path}:{path}:ro" for path in _PROGRAMS if path.exists()]
    run = ["run", "--rm", "--network", _PROBE, *folders, _PROBE, "/bin/true"]
    try:
        engine.docker("network", "create", _PROBE)
        empty = ["sh", "-c", f"tar --create --files-from /dev/null | docker import - {_PROBE}"]
        engine.run(empty, timeout=_COMMAND_TIMEOUT)
        engine.docker(*run)
    except EngineError as error:
        if _FORBIDDEN.search(str(error)):
            raise NoEngineError(f"dockerd starts, but can run nothing here: {error}") from None
        raise
    finally:
        for leftover in (("network", "rm", _PROBE), ("rmi", _PROBE)):
            with suppress(EngineError):
                engine.docker(*leftover)


def main() -> int:
    """Start an engine, if none runs, and stop it."""
    try:
        with running_engine(*map(Path, sys.argv[1:])):
            return 0
    except NoEngineError as error:
        sys.stdout.write(f"{error}\n")
        return _NO_ENGINE
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
