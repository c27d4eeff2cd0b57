"""How long the edge's event loop looks away, as a client sees it that pings all the time."""

import asyncio

from bench.delivery.context import Context
from bench.delivery.native import Load, LoadFigures
from bench.delivery.publisher import Job, Publisher
from bench.delivery.report import Row, Target

TITLE = "answers to pings, while 10,000 clients come and are served"
_CLIENTS = 10_000
_CHANNEL = "news"
_SIZE = 200
_WRITES_PER_SECOND = 40_000
_EVERY = 0.002
_WORST, _WORST_COLLECTION = Target(50.0), Target(20.0)
_SPARE = 10.0


async def run(context: Context) -> None:
    """Ping an edge on NATS from a process of its own: alone, while clients come, and in fan-outs.

    What the machine does meanwhile counts too: the worst answer of an idle edge shows how much.
    """
    clients = context.clients(_CLIENTS)
    async with (
        context.site("nats") as site,
        site.publisher() as publisher,
        site.load() as load,
        site.load() as probe,
    ):
        await probe.open(1, "pings")
        await probe.ping(_EVERY)
        await probe.begin(awake=False)
        await asyncio.sleep(2 * context.seconds)
        _add(context, "an idle edge", await probe.wait(0, 0), None)
        await probe.begin(awake=False)
        # One at a time: what then lasts is the collection of garbage, not the handshakes.
        await load.open(clients, _CHANNEL, at_a_time=1)
        _add(context, f"{clients:,} come, one by one", await probe.wait(0, 0), _WORST_COLLECTION)
        await _fan_out(context, clients, load, publisher, probe)


async def _fan_out(
    context: Context, clients: int, load: Load, publisher: Publisher, probe: Load
) -> None:
    rate = _WRITES_PER_SECOND / clients
    calls = max(5, round(context.seconds * 4 * rate))
    await load.begin(awake=False)
    await probe.begin(awake=False)
    await publisher.publish(Job(_CHANNEL, _SIZE, calls, rate=rate))
    figures = await load.wait(calls * clients, _SPARE)
    context.report.check_load(figures)
    _add(context, f"an event to {clients:,} now and then", await probe.wait(0, 0), _WORST)


def _add(context: Context, case: str, figures: LoadFigures, target: Target | None) -> None:
    answers = figures.round_trip
    also = {"pings": answers.count, "p50_ms": answers.p50 / 1e6, "p99_ms": answers.p99 / 1e6}
    context.report.add(Row(case, "worst answer", answers.max / 1e6, "ms", None, target, also))
    context.report.add(Row(case, "p99.9 of the answers", answers.p999 / 1e6, "ms", beside=also))
