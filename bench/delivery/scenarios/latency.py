"""How long an event takes from its publisher to the clients."""

import statistics
from collections.abc import Sequence

from bench.delivery.context import Context
from bench.delivery.native import Durations, Load, LoadFigures
from bench.delivery.pairs import MAX_CALLS_PER_SECOND, deliver
from bench.delivery.publisher import Job, Publisher
from bench.delivery.report import Row, Target

TITLE = "from the publisher to 1,000 clients, at a share of what the edge can do"
_CLIENTS = 1000
_CHANNEL = "news"
_SIZE = 200
_LOADS = (0.1, 0.5, 0.8)
_JUDGED = 0.5
_TARGET = Target(3.0)
_CALLS = 50
_GENTLE = 10_000
"""Writes a second at which nothing waits for anything."""
_ROUNDS = 5
"""Their medians count: what else the machine does can delay all of one round."""
_SPARE = 10.0


async def run(context: Context) -> None:
    """Publish at random moments; the clients' clock is the publisher's.

    The publisher, the broker and the nats-server need a processor beside the edge's, and so do the
    clients, which sleep here as real ones do: with too few, these figures are the machine's.
    """
    clients = context.clients(_CLIENTS)
    async with (
        context.site("nats") as site,
        site.publisher() as publisher,
        site.load() as load,
    ):
        await load.open(clients, _CHANNEL)
        job = Job(_CHANNEL, _SIZE, _CALLS, rate=min(_GENTLE / clients, MAX_CALLS_PER_SECOND))
        await deliver([site.edge.pid], [load], publisher, job, _CALLS * clients)
        before = site.cpu
        alone = (await _timed(load, publisher, job, clients)).span
        capacity = _CALLS / (site.cpu - before)
        for share in _LOADS:
            rate = min(share * capacity, MAX_CALLS_PER_SECOND)
            calls = max(_CALLS, round(rate * context.seconds * 2))
            job = Job(_CHANNEL, _SIZE, calls, rate=rate, at_random=True)
            before = site.cpu
            rounds = [await _timed(load, publisher, job, clients) for _ in range(_ROUNDS)]
            used = site.cpu - before
            for figures in rounds:
                context.report.check_load(figures)
            also = {
                "cores": used / sum(one.wall for one in rounds) * 1e9,
                "fan_out_ms": alone / 1e6,
                "max_ms": max(one.latency.max for one in rounds) / 1e6,
            }
            case = f"edge, 1 x {clients:,}, {share:.0%} load"
            _add(context, case, [one.latency for one in rounds], also)
            if share == _JUDGED:
                worst = statistics.median(one.latency.p99 for one in rounds)
                figure = "p99 over the time of one fan-out"
                context.report.add(Row(case, figure, worst / alone, "", target=_TARGET))


async def _timed(load: Load, publisher: Publisher, job: Job, clients: int) -> LoadFigures:
    await load.begin(timed=True, awake=False)
    await publisher.publish(job)
    return await load.wait(job.calls * clients, _SPARE)


def _add(context: Context, case: str, rounds: Sequence[Durations], also: dict[str, float]) -> None:
    percentiles = {
        "p50": [one.p50 for one in rounds],
        "p99": [one.p99 for one in rounds],
        "p99.9": [one.p999 for one in rounds],
    }
    for name, values in percentiles.items():
        value = statistics.median(values) / 1e6
        context.report.add(Row(case, f"latency, {name}", value, "ms", beside=also))
