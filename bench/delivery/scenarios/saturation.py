"""A publisher that is faster than one write for each delivery allows: the edge must join them."""

from bench.delivery.context import Context
from bench.delivery.publisher import Job
from bench.delivery.report import Row

TITLE = "1 channel with 1,000 subscribers, and events as fast as the broker takes them"
_CLIENTS = 1000
_CHANNEL = "news"
_SIZE = 200
_BATCH = 20
_WINDOW = 2
_CALLS_A_SECOND = 50
_SPARE = 10.0


async def run(context: Context) -> None:
    """Count what arrives; what the edge cannot write it drops, and counts too."""
    clients = context.clients(_CLIENTS)
    async with (
        context.site("nats") as site,
        site.publisher() as publisher,
        site.load() as load,
    ):
        await load.open(clients, _CHANNEL)
        calls = max(5, round(context.seconds * _CALLS_A_SECOND))
        job = Job(_CHANNEL, _SIZE, calls, batch=_BATCH, window=_WINDOW)
        await load.begin()
        await publisher.publish(job)
        # The first ones are the edge's to warm up.
        await load.wait(job.calls * job.batch * clients, _SPARE)
        await load.begin()
        before = site.cpu
        published = await publisher.publish(job)
        expected = published.events * clients
        figures = await load.wait(expected, _SPARE)
        used = site.cpu - before
        context.report.check_load(figures)
        case = f"edge, 1 x {clients:,}, {_SIZE} B"
        also = {
            "events_per_second": published.events / published.seconds,
            "events_per_read": figures.events / figures.reads,
            "share_of_clients": figures.share,
        }
        rate = figures.events / figures.wall * 1e9
        context.report.add(Row(case, "deliveries a second", rate, "", beside=also))
        context.report.add(
            Row(case, "deliveries a core-second", figures.events / used, "", beside=also)
        )
        lost = 1 - figures.events / expected
        context.report.add(Row(case, "deliveries that were dropped", lost * 100, "%", beside=also))
