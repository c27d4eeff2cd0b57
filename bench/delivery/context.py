"""What every scenario is given."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.delivery.report import Scenario
from bench.delivery.site import Site, open_site


@dataclass(frozen=True, slots=True)
class Context:
    """How long and how large, and where the figures go."""

    report: Scenario
    seconds: float
    """How long one measurement lasts."""
    scale: float = 1.0
    """What numbers of clients are multiplied by: 0.01 tries everything out."""

    def clients(self, count: int) -> int:
        """Return how many clients stand for so many."""
        return max(2, round(count * self.scale))

    def site(
        self, bus: str, *, edges: int = 1, settings: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Site]:
        """Run services in a folder of their own."""
        return _site(bus, edges, settings)


@asynccontextmanager
async def _site(bus: str, edges: int, settings: Mapping[str, str] | None) -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as folder:
        async with open_site(bus, Path(folder), edges=edges, settings=settings) as site:
            yield site
