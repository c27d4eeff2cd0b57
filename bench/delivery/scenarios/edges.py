"""Two edges instead of one: a delivery must not cost more."""

from contextlib import AsyncExitStack

from bench.delivery.context import Context
from bench.delivery.pairs import PAIRS, beside, calls_for, deliver, median_each
from bench.delivery.publisher import Job
from bench.delivery.report import Row, Target

TITLE = "2,000 subscribers on one edge, and on two"
_CLIENTS = 2000
_SIZE = 200
_ONE, _BOTH = "one", "both"
_SAME = Target(1.05)


async def run(context: Context) -> None:
    """Publish in turn to a channel that one edge has all clients of, and to one that both have."""
    clients = context.clients(_CLIENTS) // 2 * 2
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(context.site("nats", edges=2))
        publisher = await stack.enter_async_context(site.publisher())
        alone, left, right = [
            await stack.enter_async_context(site.load(edge)) for edge in (0, 0, 1)
        ]
        await alone.open(clients, _ONE)
        await left.open(clients // 2, _BOTH)
        await right.open(clients // 2, _BOTH)
        pids = [edge.pid for edge in site.edges]
        calls = calls_for(context.seconds, clients)
        rate = calls / context.seconds
        one, both = [], []
        for _ in range(PAIRS + 1):
            job = Job(_ONE, _SIZE, calls, rate=rate)
            one.append(await deliver(pids, [alone], publisher, job, calls * clients))
            job = Job(_BOTH, _SIZE, calls, rate=rate)
            each = calls * clients // 2
            both.append(await deliver(pids, [left, right], publisher, job, each))
        context.report.add(
            Row(
                f"2 edges, {clients:,} subscribers",
                "CPU a delivery over that of 1 edge",
                median_each(both[1:]) / median_each(one[1:]),
                "",
                target=_SAME,
                beside={
                    **beside(context.report, both[1:]),
                    "of_two": median_each(both[1:]),
                    "of_one": median_each(one[1:]),
                },
            )
        )
