"""What the figures hold for: the machine, the versions, and what else the machine did."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers import ServerError, nats_server_path

_PACKAGES = (
    *("pogo-websocket", "uvloop", "websockets", "grpcio", "aiohttp"),
    *("nats-py", "redis", "msgspec", "protobuf"),
)
_ROOT = Path(__file__).parents[2]
_TICK = os.sysconf("SC_CLK_TCK")
_LISTEN = 1.0
"""Seconds for which the machine is looked at before anything is measured."""

# Fields of /proc/stat's first line.
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
# Fields of /proc/PID/stat behind the name: the parent, and the times of the process and of its
# children that have ended, in user and kernel mode.
_PARENT, _TIMES = 1, slice(11, 15)


@dataclass(frozen=True, slots=True)
class Noise:
    """What took processors away from a measurement, as shares of one core."""

    others: float
    """Processes that do not belong to it."""
    steal: float
    """The machine below this one."""

    def __str__(self) -> str:
        return f"other processes {self.others:.0%} of a core, stolen {self.steal:.0%}"


@dataclass(frozen=True, slots=True)
class Meter:
    """Where the counters stood."""

    time: float
    busy: float
    """Seconds of all processors together."""
    stolen: float
    own: float
    """Seconds of this process and all below it, also those that have ended."""

    @classmethod
    def start(cls) -> Self:
        """Read the counters."""
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        # What guests use is counted in the fields before, too.
        idle, stolen = ticks[_IDLE] + ticks[_IOWAIT], ticks[_STEAL]
        busy = sum(ticks[: _STEAL + 1]) - idle - stolen
        return cls(time.monotonic(), busy / _TICK, stolen / _TICK, _own_seconds())

    def noise(self) -> Noise:
        """Tell what went on since."""
        now = Meter.start()
        seconds = max(now.time - self.time, 1 / _TICK)
        others = (now.busy - self.busy) - (now.own - self.own)
        return Noise(max(0.0, others) / seconds, (now.stolen - self.stolen) / seconds)


def describe() -> Mapping[str, str]:
    """Describe the machine, what runs on it, and how busy it was before."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2] for line in info if line.startswith("model name")), "?")
    meter = Meter.start()
    time.sleep(_LISTEN)
    return {
        "machine": f"{os.cpu_count()} cores, {model.strip()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "before": f"load {os.getloadavg()[0]:.2f}; {meter.noise()}",
        "revision": _revision(),
        "versions": ", ".join(f"{name} {version}" for name, version in _versions().items()),
    }


def _own_seconds() -> float:
    """Add up what this process and those below it have used."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            # It may have ended meanwhile; then its parent has its time.
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[_PARENT])
                used[int(entry.name)] = sum(map(int, fields[_TIMES]))
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used.get(pid, 0) for pid in ours) / _TICK


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    with contextlib.suppress(ServerError):
        versions["nats-server"] = _output(str(nats_server_path()), "--version").rpartition("v")[2]
    redis = shutil.which("redis-server")
    if redis:
        versions["redis-server"] = _output(redis, "--version").partition("v=")[2].partition(" ")[0]
    return versions


def _revision() -> str:
    """Name the commit, and whether files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    commit = _output(git, "-C", str(_ROOT), "rev-parse", "--short", "HEAD")
    # Without its lock: others may work in the same tree.
    status = ("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    changed = _output(git, "-C", str(_ROOT), *status)
    return f"{commit or 'unknown'}{', changed' if changed else ''}"


def _output(*command: str) -> str:
    """Return what a program prints; nothing where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()
