"""How long a service pauses to collect garbage: what a client cannot tell from other pauses.

Started as a program, it is the `pogo` command, and writes down each collection that took long.
"""

import gc
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pogo.cli import main

PROGRAM = (sys.executable, "-m", "bench.delivery.pauses")
VARIABLE = "BENCH_PAUSES"
"""The environment variable with the path of the file."""

_WORTH_WRITING = 200_000
"""Nanoseconds; the many collections of young objects are shorter."""


class Pauses:
    """The file, as whoever measures reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def settings(self) -> dict[str, str]:
        """What the service has to have in its environment."""
        # Services are started elsewhere than where this module lies.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        return {VARIABLE: str(self._path), "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def longest(self, since: int) -> float:
        """Return the longest pause since a moment of `time.monotonic_ns`: processor milliseconds.

        It is processor time, since what else the machine does is no fault of the collector.
        """
        lines = self._path.read_text().splitlines()
        pauses = [tuple(map(int, line.split())) for line in lines]
        return max((length for at, length in pauses if at >= since), default=0) / 1e6


def _watch(path: str) -> None:
    stream = Path(path).open("a", buffering=1)  # noqa: SIM115 - open until the service ends
    began = 0

    def collected(phase: str, _: Mapping[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time_ns()
            return
        length = time.thread_time_ns() - began
        if length >= _WORTH_WRITING:
            stream.write(f"{time.monotonic_ns()} {length}\n")

    gc.callbacks.append(collected)


if __name__ == "__main__":
    _watch(os.environ.pop(VARIABLE))
    main()
