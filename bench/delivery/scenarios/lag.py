"""How long the edge's event loop looks away: as a client sees it, and to collect garbage."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.delivery.context import Context
from bench.delivery.native import Load, LoadFigures
from bench.delivery.pauses import PROGRAM, Pauses
from bench.delivery.publisher import Job, Publisher
from bench.delivery.report import Row, Target

TITLE = "answers to pings and pauses of the collector, while 10,000 clients come and are served"
_CLIENTS = 10_000
_CHANNEL = "news"
_SIZE = 200
_WRITES_PER_SECOND = 40_000
_EVERY = 0.002
_WORST, _WORST_COLLECTION = Target(50.0), Target(10.0)
_WINDOWS = 5
_SPARE = 10.0


async def run(context: Context) -> None:
    """Ping an edge on NATS from a process of its own: alone, while clients come, and in fan-outs.

    What the machine does meanwhile counts too: the worst answer of an idle edge shows how much.
    Collections are measured in the edge itself, in processor time, which does not depend on it.
    """
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as folder:
        pauses = Pauses(Path(folder) / "pauses")
        async with context.site("nats", edge_settings=pauses.settings, program=PROGRAM) as site:
            await _Lag(context, pauses).measure(site.publisher(), site.load(), site.load())


class _Lag:
    def __init__(self, context: Context, pauses: Pauses) -> None:
        self._context = context
        self._pauses = pauses
        self._clients = context.clients(_CLIENTS)

    async def measure(self, publisher: Publisher, load: Load, probe: Load) -> None:
        """Measure an edge that does more and more."""
        async with publisher, load, probe:
            await probe.open(1, "pings")
            await probe.ping(_EVERY)
            windows = [await self._idle(probe) for _ in range(_WINDOWS)]
            self._add("an idle edge", windows, None)
            since = time.monotonic_ns()
            await probe.begin(awake=False)
            await load.open(self._clients, _CHANNEL)
            case = f"{self._clients:,} come, 64 at a time"
            self._add(case, [await probe.wait(0, 0)], None)
            self._add_pause(case, since)
            since = time.monotonic_ns()
            windows = [await self._fan_out(publisher, load, probe) for _ in range(_WINDOWS)]
            case = f"an event to {self._clients:,} now and then"
            self._add(case, windows, _WORST)
            self._add_pause(case, since)

    async def _idle(self, probe: Load) -> LoadFigures:
        await probe.begin(awake=False)
        await asyncio.sleep(self._context.seconds)
        return await probe.wait(0, 0)

    async def _fan_out(self, publisher: Publisher, load: Load, probe: Load) -> LoadFigures:
        rate = _WRITES_PER_SECOND / self._clients
        calls = max(5, round(self._context.seconds * rate))
        await load.begin(awake=False)
        await probe.begin(awake=False)
        await publisher.publish(Job(_CHANNEL, _SIZE, calls, rate=rate))
        self._context.report.check_load(await load.wait(calls * self._clients, _SPARE))
        return await probe.wait(0, 0)

    def _add(self, case: str, windows: Sequence[LoadFigures], target: Target | None) -> None:
        """Tell the worst answers: of the window where it was best, of the median, and of all."""
        answers = [window.round_trip for window in windows]
        worst = [one.max / 1e6 for one in answers]
        also = {
            "pings": sum(one.count for one in answers),
            "p50_ms": statistics.median(one.p50 for one in answers) / 1e6,
            "p99_ms": statistics.median(one.p99 for one in answers) / 1e6,
            "p999_ms": statistics.median(one.p999 for one in answers) / 1e6,
        }
        if len(windows) > 1:
            rows = {
                "worst answer, best window": (min(worst), target),
                "worst answer, median window": (statistics.median(worst), None),
                "worst answer of all": (max(worst), None),
            }
        else:
            rows = {"worst answer": (worst[0], target)}
        for figure, (value, asked) in rows.items():
            row = Row(case, figure, value, "ms", target=asked, beside=also)
            self._context.report.add(row)

    def _add_pause(self, case: str, since: int) -> None:
        longest = self._pauses.longest(since)
        row = Row(case, "longest collection", longest, "ms of CPU", target=_WORST_COLLECTION)
        self._context.report.add(row)
