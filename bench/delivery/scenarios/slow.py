"""A client that does not read, beside others that do: it must cost them nothing."""

import asyncio
import contextlib
from dataclasses import dataclass

from bench.delivery.context import Context
from bench.delivery.native import LoadFigures
from bench.delivery.publisher import Job
from bench.delivery.report import Row, Target
from bench.delivery.site import Site

TITLE = "1 client of 1,000 stops to read"
_CLIENTS = 1000
_CHANNEL = "news"
_JOB = Job(_CHANNEL, 2048, 250, batch=10, rate=40)
"""5 MB for each client: what the kernel takes for one, and more than its buffer in the edge."""
_PAIRS = 3
_SPARE = 10.0
_MEGABYTE = 1024 * 1024
_LOOK_AGAIN = 0.02
_NO_CHANGE = Target(1.1)
_BOUNDED = Target(3.0)
"""Megabytes: the write buffer of one, and what is being written to everyone."""


@dataclass(frozen=True, slots=True)
class _Round:
    cpu: float
    """Microseconds a delivery."""
    growth: float
    """Megabytes that the edge had more at its worst than before."""
    closed: int
    figures: LoadFigures


async def run(context: Context) -> None:
    """Publish in turn with and without the slow client, which ends up closed with 4100."""
    clients = context.clients(_CLIENTS)
    alone: list[_Round] = []
    slow: list[_Round] = []
    async with context.site("nats") as site:
        await _round(context, site, clients, stalled=0)
        for _ in range(_PAIRS):
            alone.append(await _round(context, site, clients, stalled=0))
            slow.append(await _round(context, site, clients, stalled=1))
    case = f"edge, 1 x {clients:,}, {_JOB.size:,} B, {_JOB.batch} a turn"
    cpu, cpu_alone = min(one.cpu for one in slow), min(one.cpu for one in alone)
    late, late_alone = (min(one.figures.latency.p99 for one in side) for side in (slow, alone))
    also = {
        "slow_clients": len(slow),
        "closed": sum(one.closed for one in slow),
        "growth_without_mb": max(one.growth for one in alone),
    }
    figures = {
        "CPU a delivery, with a slow client over without": (cpu / cpu_alone, _NO_CHANGE),
        "p99 of the others, with over without": (late / late_alone, None),
    }
    for figure, (value, target) in figures.items():
        context.report.add(Row(case, figure, value, "", target=target, beside=also))
    growth = max(one.growth for one in slow)
    context.report.add(Row(case, "growth of memory", growth, "MB", target=_BOUNDED, beside=also))


async def _round(context: Context, site: Site, clients: int, *, stalled: int) -> _Round:
    """Publish to new clients, some of whom read only when all is over."""
    async with site.load() as load, site.publisher() as publisher:
        await load.open(clients, _CHANNEL)
        await load.stall(stalled)
        await load.begin(timed=True)
        before, empty = site.cpu, site.resident
        watching = asyncio.create_task(_most_resident(site))
        await publisher.publish(_JOB)
        expected = _JOB.calls * _JOB.batch * (clients - stalled)
        figures = await load.wait(expected, _SPARE)
        used = site.cpu - before
        watching.cancel()
        context.report.check_load(figures)
        await load.resume(stalled)
        closed = (await load.wait(2 * expected, 1)).lost if stalled else 0
    growth = (await watching - empty) / _MEGABYTE
    return _Round(used / figures.events * 1e6, growth, closed, figures)


async def _most_resident(site: Site) -> int:
    """Look until cancelled, and return the most memory that was seen."""
    most = site.resident
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            most = max(most, site.resident)
            await asyncio.sleep(_LOOK_AGAIN)
    return most
