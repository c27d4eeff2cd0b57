"""How long processes waited for a processor: what of a latency is the machine's, not theirs."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.delivery.machine import Meter, Noise

_WAITED = 1
"""The field of /proc/PID/task/TID/schedstat with the nanoseconds in which a thread could have run
and did not, since others had the processors."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Where the counters of some processes stood."""

    pids: Mapping[str, int]
    began: float
    waited: Mapping[str, int]
    meter: Meter

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> Self:
        """Read the counters of processes, by name."""
        waited = {name: _waited(pid) for name, pid in pids.items()}
        return cls(pids, time.monotonic(), waited, Meter.start())

    def shares(self) -> dict[str, float]:
        """Return for how much of the time since each process waited."""
        wall = (time.monotonic() - self.began) * 1e9
        return {name: (_waited(pid) - self.waited[name]) / wall for name, pid in self.pids.items()}

    def noise(self) -> Noise:
        """Tell what else the machine did since."""
        return self.meter.noise()


def _waited(pid: int) -> int:
    """Add up what the threads of a process have waited."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end meanwhile.
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text().split()[_WAITED])
    return total
