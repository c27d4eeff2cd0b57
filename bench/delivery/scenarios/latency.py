"""How long an event takes from its publisher to the clients."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.delivery.context import Context
from bench.delivery.machine import Noise
from bench.delivery.native import Load, LoadFigures
from bench.delivery.pairs import MAX_CALLS_PER_SECOND, deliver
from bench.delivery.publisher import Job, Published, Publisher
from bench.delivery.report import Row, Target
from bench.delivery.site import Site
from bench.delivery.waiting import Watch

TITLE = "from the publisher to 1,000 clients, at a share of what the edge can do"
_CLIENTS = 1000
_CHANNEL = "news"
_SIZE = 200
_LOADS = (0.1, 0.5, 0.8)
_JUDGED = 0.5
_TARGET = Target(3.0)
_CALLS = 50
_ALONE = 20
"""Events that are on their way one by one, to see how long one takes."""

_GENTLE = 10_000
"""Writes a second at which nothing waits for anything."""
_WINDOWS = 7
_SPARE = 10.0


@dataclass(frozen=True, slots=True)
class _Window:
    """One of several measurements of the same: the quietest one is nearest to the truth."""

    figures: LoadFigures
    published: Published
    waited: Mapping[str, float]
    """For how much of the time each process of the path could have run and did not."""
    noise: Noise

    @property
    def p99(self) -> int:
        return self.figures.latency.p99


@dataclass(frozen=True, slots=True)
class _Path:
    """What an event goes through."""

    site: Site
    publisher: Publisher
    load: Load
    clients: int

    async def window(self, job: Job) -> _Window:
        """Publish, and time what arrives; the clients' clock is the publisher's."""
        watch = Watch.start(self._processes)
        await self.load.begin(timed=True)
        published = await self.publisher.publish(job)
        figures = await self.load.wait(job.calls * self.clients, _SPARE)
        return _Window(figures, published, watch.shares(), watch.noise())

    @property
    def _processes(self) -> dict[str, int]:
        assert self.site.bus is not None
        return {
            "publisher": self.publisher.pid,
            "broker": self.site.broker.pid,
            "nats_server": self.site.bus.pid,
            "edge": self.site.edge.pid,
        }


async def run(context: Context) -> None:
    """Publish at random moments, in several windows.

    The five processes of the path share the processors with whatever else runs. In each window it
    is measured how long they waited for one: a p99 of many fan-outs is the edge's own only where
    they hardly did. The clients poll all the time, so that no waking of theirs is in the figures.
    """
    clients = context.clients(_CLIENTS)
    async with (
        context.site("nats") as site,
        site.publisher() as publisher,
        site.load() as load,
    ):
        await load.open(clients, _CHANNEL)
        path = _Path(site, publisher, load, clients)
        rate = min(_GENTLE / clients, MAX_CALLS_PER_SECOND)
        job = Job(_CHANNEL, _SIZE, _CALLS, rate=rate)
        await deliver([site.edge.pid], [load], publisher, job, _CALLS * clients)
        before = site.cpu
        alone = [await path.window(Job(_CHANNEL, _SIZE, _ALONE, rate=rate)) for _ in range(3)]
        capacity = len(alone) * _ALONE / (site.cpu - before)
        for share in _LOADS:
            rate = min(share * capacity, MAX_CALLS_PER_SECOND)
            calls = max(_CALLS, round(rate * context.seconds))
            job = Job(_CHANNEL, _SIZE, calls, rate=rate, at_random=True)
            before = site.cpu
            windows = [await path.window(job) for _ in range(_WINDOWS)]
            used = site.cpu - before
            for window in windows:
                context.report.check_load(window.figures)
                context.report.check_share(window.published.share, "the publisher")
            cores = used / sum(window.figures.wall for window in windows) * 1e9
            case = f"edge, 1 x {clients:,}, {share:.0%} load"
            _add_latencies(context, case, windows, cores)
            if share == _JUDGED:
                _add_ratios(context, case, windows, [one.figures.span for one in alone])


def _add_latencies(context: Context, case: str, windows: Sequence[_Window], cores: float) -> None:
    best = min(windows, key=lambda window: window.p99)
    middle = statistics.median_low(window.p99 for window in windows)
    median = next(window for window in windows if window.p99 == middle)
    for which, window in (("best window", best), ("median window", median)):
        latency = window.figures.latency
        also = {
            "max_ms": latency.max / 1e6,
            "edge_cores": cores,
            "other_processes": window.noise.others,
            "steal": window.noise.steal,
            **{f"{name}_waited": share for name, share in window.waited.items()},
        }
        for name, value in (("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999)):
            figure = f"{name}, {which}"
            context.report.add(Row(case, figure, value / 1e6, "ms", beside=also))
        waited = sum(window.waited.values()) * 100
        figure = f"waited for a processor, {which}"
        context.report.add(Row(case, figure, waited, "%, all together", beside=also))
    worst = max(window.figures.latency.max for window in windows)
    context.report.add(Row(case, "worst of all windows", worst / 1e6, "ms"))


def _add_ratios(
    context: Context, case: str, windows: Sequence[_Window], alone: Sequence[int]
) -> None:
    """Compare with the time of one fan-out: the best with the best, the median with the median."""
    p99 = [window.p99 for window in windows]
    best, median = min(p99) / min(alone), statistics.median(p99) / statistics.median(alone)
    also = {"fan_out_ms": min(alone) / 1e6, "fan_out_median_ms": statistics.median(alone) / 1e6}
    figure = "p99 over one fan-out"
    context.report.add(Row(case, f"{figure}, best window", best, "", target=_TARGET, beside=also))
    context.report.add(Row(case, f"{figure}, median window", median, "", beside=also))
