"""What is run, and under which names its paths are in the baseline."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One process that is counted."""

    module: str
    """Has the service."""
    environment: Mapping[str, str]
    needs: str = ""
    """A module without which it would be the same as another run."""

    @property
    def is_possible(self) -> bool:
        """Whether what it needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


RUNS: Mapping[str, Run] = {
    "edge": Run("bench.instructions.edge", {"POGO_PURE_PYTHON": "1"}),
    "edge-speedups": Run("bench.instructions.edge", {}, needs="pogo_speedups"),
    "broker": Run("bench.instructions.broker", {}),
}
"""The first part of the name of a path is the name of its run: `edge/deliver-1`."""
