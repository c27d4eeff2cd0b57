"""An edge that speaks TLS: what a delivery and a connection cost beside one that does not."""

import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from tests.servers import make_certificate

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.native import Limit, Load
from bench.delivery.pairs import PAIRS, bare, beside, calls_for, deliver, median_each
from bench.delivery.publisher import Job
from bench.delivery.report import Row
from bench.delivery.site import APP, SECRET, Site

TITLE = "an edge that speaks TLS itself"
_COUNTS = (100, 1000)
_CHANNEL = "news"
_SIZES = (200, 2048)
_COMING = 1000
_ROUNDS = 3


async def run(context: Context) -> None:
    """Measure an edge on NATS; the limit is the bare loop of `fanout`, which does not encrypt."""
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as folder:
        made = make_certificate(Path(folder))
        settings = {"POGO_TLS_CERT": str(made.certificate), "POGO_TLS_KEY": str(made.key)}
        async with context.site("nats", edge_settings=settings) as site:
            await _connect(context, site)
            for count in _COUNTS:
                await _fan_out(context, site, context.clients(count))


async def _connect(context: Context, site: Site) -> None:
    clients, costs = context.clients(_COMING), []
    async with site.load(tls=True) as load:
        for _ in range(_ROUNDS + 1):
            before = cpu_seconds(site.edge.pid)
            context.report.check_load(await load.open(clients, _CHANNEL))
            costs.append((cpu_seconds(site.edge.pid) - before) / clients * 1e6)
            await load.drop()
    # The first ones are the edge's to warm up.
    costs = costs[1:]
    also = {"lowest": min(costs), "highest": max(costs)}
    case = "edge with TLS, public, shared channel"
    row = Row(case, "CPU a connection", statistics.median(costs), "µs", beside=also)
    context.report.add(row)


async def _fan_out(context: Context, site: Site, clients: int) -> None:
    async with AsyncExitStack() as stack:
        limit = await stack.enter_async_context(Limit())
        limit_load = await stack.enter_async_context(Load(limit.port, APP, SECRET))
        publisher = await stack.enter_async_context(site.publisher())
        load = await stack.enter_async_context(site.load(tls=True))
        await load.open(clients, _CHANNEL)
        await limit_load.open(clients, _CHANNEL)
        calls = calls_for(context.seconds, clients)
        for size in _SIZES:
            job = Job(_CHANNEL, size, calls, rate=calls / context.seconds)
            edges, limits = [], []
            for _ in range(PAIRS):
                limits.append(await bare(limit, limit_load, calls, size, clients))
                edges.append(
                    await deliver([site.edge.pid], [load], publisher, job, calls * clients)
                )
            context.report.add(
                Row(
                    f"edge with TLS, 1 x {clients:,}, {size:,} B",
                    "CPU a delivery",
                    median_each(edges),
                    "µs",
                    median_each(limits),
                    beside=beside(context.report, edges),
                )
            )
