"""Many channels with one subscriber each: nothing can be joined, and nothing shared."""

from bench.delivery.context import Context
from bench.delivery.native import Limit, Load
from bench.delivery.pairs import PAIRS, bare, beside, deliver, median_each
from bench.delivery.publisher import Job
from bench.delivery.report import Row
from bench.delivery.site import APP, SECRET

TITLE = "10,000 channels with one subscriber each"
_CHANNELS = 10_000
_BATCH = 100
_RATE = 10_000
"""Events a second: well below what one broker publishes."""
_SIZE = 200


async def run(context: Context) -> None:
    """Publish to each channel in turn, in batches; an edge on NATS, against bare `send()`s."""
    clients = max(_BATCH, context.clients(_CHANNELS))
    async with (
        context.site("nats") as site,
        site.publisher() as publisher,
        site.load() as load,
        Limit() as limit,
        Load(limit.port, APP, SECRET) as limit_load,
    ):
        await load.open(clients, "news-*")
        await limit_load.open(clients, "news")
        # Whole rounds, so that every client gets as many events.
        rounds = max(1, round(context.seconds * _RATE / clients))
        calls = rounds * clients // _BATCH
        job = Job("news-*", _SIZE, calls, batch=_BATCH, rate=_RATE / _BATCH, channels=clients)
        edges, limits = [], []
        for _ in range(PAIRS + 1):
            limits.append(await bare(limit, limit_load, rounds, _SIZE, clients))
            edges.append(await deliver([site.edge.pid], [load], publisher, job, calls * _BATCH))
        context.report.add(
            Row(
                f"edge, {clients:,} x 1, {_SIZE} B",
                "CPU a delivery",
                median_each(edges[1:]),
                "µs",
                median_each(limits[1:]),
                beside=beside(context.report, edges[1:]),
            )
        )
