"""What every scenario is given."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.delivery.report import Scenario
from bench.delivery.site import POGO, Site, open_site


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
        self,
        bus: str,
        *,
        edges: int = 1,
        settings: Mapping[str, str] | None = None,
        edge_settings: Mapping[str, str] | None = None,
        program: Sequence[str] = POGO,
    ) -> AbstractAsyncContextManager[Site]:
        """Run services in a folder of their own, as `open_site` does."""
        return _site(
            bus, edges=edges, settings=settings, edge_settings=edge_settings, program=program
        )


@asynccontextmanager
async def _site(bus: str, **options: Any) -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as folder:
        async with open_site(bus, Path(folder), **options) as site:
            yield site
