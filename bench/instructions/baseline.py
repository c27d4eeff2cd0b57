"""What paths cost when somebody last agreed to it, and whether they cost more now."""

import enum
import importlib.metadata
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

TOLERANCE = 0.1
"""By which share a count may grow."""

_PACKAGES = (
    "aiohttp",
    "grpcio",
    "msgspec",
    "nats-py",
    "prometheus-client",
    "protobuf",
    "uvloop",
    "websockets",
)
"""All that the paths go through, beside Pogo."""

_COUNTS = {"instructions": "instructions", "system_calls": "system calls"}
"""The fields of `Counts` that are compared, and their names."""


class BaselineError(Exception):
    """A file is no baseline, or not there."""


class Counts(msgspec.Struct, frozen=True):
    """What one operation costs."""

    operation: str
    instructions: float
    """Of the process, without those of the kernel."""
    system_calls: float
    """Reading the clock is one: under valgrind it is no cheaper."""


class Machine(msgspec.Struct, frozen=True):
    """What counts depend on, beside the code."""

    python: str
    architecture: str
    glibc: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Self:
        """Describe this one."""
        return cls(
            platform.python_version(),
            platform.machine(),
            platform.libc_ver()[1],
            {name: importlib.metadata.version(name) for name in _PACKAGES},
        )

    def is_like(self, other: "Machine") -> bool:
        """Whether counts of both can be compared."""
        return self.comparable == other.comparable

    def differences(self, other: "Machine") -> Iterator[str]:
        """Tell what else is different, which may explain differences of counts."""
        ours, theirs = self.versions, other.versions
        for name in sorted(ours | theirs):
            was, now = theirs.get(name, "none"), ours.get(name, "none")
            if was != now:
                yield f"{name} was {was} and is {now}"

    @property
    def comparable(self) -> tuple[str, str]:
        """What has to be the same: Python's minor version, and the architecture."""
        return self.python.rpartition(".")[0], self.architecture

    @property
    def versions(self) -> dict[str, str]:
        """The versions of everything, by name."""
        return {"Python": self.python, "glibc": self.glibc, **self.packages}


class Baseline(msgspec.Struct, frozen=True):
    """Counts by path, and where they were made."""

    machine: Machine
    paths: dict[str, Counts]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BaselineError: It is no baseline, or not there.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            raise BaselineError(f"there is no {path}: make it with --update") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BaselineError(f"{path} is no baseline: {error}") from None

    def renewed(self, here: Machine, runs: Sequence[str], counts: Mapping[str, Counts]) -> Self:
        """Return what it becomes once these runs were counted here.

        Other runs stay as they are, unless they were counted where nothing can be compared.
        """
        others = {
            path: each
            for path, each in self.paths.items()
            if path.partition("/")[0] not in runs and here.is_like(self.machine)
        }
        return type(self)(here, dict(sorted((others | dict(counts)).items())))

    def save(self, path: Path) -> None:
        """Write a file."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


class Change(enum.Enum):
    """What has become of a count."""

    SMALL = "small"
    GROWN = "grown"
    SHRUNK = "shrunk"
    NEW = "new"
    MISSING = "missing"

    @property
    def fails(self) -> bool:
        """Whether it must not stay so."""
        return self in (Change.GROWN, Change.MISSING)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One count of one path, as it was and as it is; `None` where there is none."""

    path: str
    operation: str
    what: str
    was: float | None
    now: float | None

    @property
    def growth(self) -> float | None:
        """By which share of what it was it has grown."""
        if self.was is None or self.now is None:
            return None
        if self.was:
            return self.now / self.was - 1
        return math.inf if self.now else 0.0

    @property
    def change(self) -> Change:
        """What has become of it."""
        if self.now is None:
            return Change.MISSING
        growth = self.growth
        if growth is None:
            return Change.NEW
        if growth > TOLERANCE:
            return Change.GROWN
        return Change.SHRUNK if growth < -TOLERANCE else Change.SMALL


def compare(was: Mapping[str, Counts], now: Mapping[str, Counts]) -> list[Comparison]:
    """Compare all counts of all paths, by their names."""
    comparisons = []
    for path in {**was, **now}:
        before, after = was.get(path), now.get(path)
        known = after or before
        assert known is not None
        comparisons += [
            Comparison(
                path,
                known.operation,
                what,
                None if before is None else getattr(before, field),
                None if after is None else getattr(after, field),
            )
            for field, what in _COUNTS.items()
        ]
    return comparisons
