"""A container engine: the one that runs here, or else one of our own for as long as it is needed.

    with running_engine() as engine:
        engine.docker("ps")

As a program it says whether there can be one: its exit code is 3 where there cannot.

Ours keeps its images in .make/, so that the next run has them. It needs root, and gives containers
no way out of their networks: it changes no rule of the machine's firewall.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
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

_ARG = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (\S+)", re.MULTILINE)


class EngineError(Exception):
    """A command failed."""


class NoEngineError(Exception):
    """No engine runs, and none can be started."""


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
        NoEngineError: That cannot be.
    """
    engine = Engine({"PATH": _path(), **_inherited()})
    if _answers(engine):
        yield engine
        return
    with _own_engine(data) as own:
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
def _own_engine(data: Path) -> Iterator[Engine]:
    dockerd = shutil.which("dockerd", path=_path())
    if dockerd is None:
        raise NoEngineError("no container engine runs here, and there is no dockerd to start")
    if os.geteuid() != 0:
        raise NoEngineError("no container engine runs here, and root alone can start one")
    data.mkdir(parents=True, exist_ok=True)
    _end_leftover(data)
    # Its sockets have short names only, wherever the tree is.
    with TemporaryDirectory(prefix="pogo-engine-") as sockets:
        address = f"unix://{sockets}/docker.sock"
        command = [
            *(dockerd, "--host", address, "--pidfile", str(data / "dockerd.pid")),
            *("--data-root", str(data / "data"), "--exec-root", f"{sockets}/exec"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none"),
        ]
        engine = Engine({"PATH": _path(), **_inherited(), "DOCKER_HOST": address})
        try:
            with _running(command, engine, data / "dockerd.log"):
                yield engine
        finally:
            # Else the folder could not be removed.
            umount = ["umount", f"{sockets}/exec/netns/default"]
            subprocess.run(umount, capture_output=True, check=False)


@contextmanager
def _running(command: Sequence[str], engine: Engine, log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=engine.environment, stdout=stream, stderr=stream)
    try:
        _wait_until_up(engine, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        finally:
            process.kill()
            process.wait()


def _end_leftover(data: Path) -> None:
    """End the engine of a run that was killed: two cannot have one folder."""
    try:
        pid = int((data / "dockerd.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return
    if str(data) not in command:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise NoEngineError(f"the engine of another run does not end: process {pid}")
        time.sleep(_LOOK_AGAIN)


def _wait_until_up(engine: Engine, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(engine):
            return
        time.sleep(_LOOK_AGAIN)
    raise NoEngineError(f"dockerd did not start:\n{log.read_text()[-2000:]}")


def main() -> int:
    """Start an engine, if none runs, and stop it."""
    try:
        with running_engine(*map(Path, sys.argv[1:])):
            return 0
    except NoEngineError as error:
        sys.stdout.write(f"{error}\n")
        return _NO_ENGINE


if __name__ == "__main__":
    sys.exit(main())
