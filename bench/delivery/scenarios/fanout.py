"""One channel with many subscribers: what a delivery costs, against one bare `send()`."""

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.delivery.context import Context
from bench.delivery.native import Limit, Load
from bench.delivery.pairs import PAIRS, Measured, bare, beside, calls_for, deliver, median_each
from bench.delivery.publisher import Job, Publisher
from bench.delivery.report import Row, Target
from bench.delivery.site import APP, SECRET, Site
from pogo.edge.sending import PURE_PYTHON

TITLE = "1 channel with many subscribers, an event at a time and many in one turn"
_CHANNEL = "news"
_SIZES = (200, 2048)
_NEAR_THE_LIMIT = Target(1.15)
_JOINED = {10: Target(6, at_least=True), 50: Target(25, at_least=True)}
_JOINED_WITH = 1000
"""Subscribers of the channel on which many events come in one turn."""


@dataclass(frozen=True, slots=True)
class _Service:
    """What delivers, and to how many."""

    name: str
    bus: str
    counts: Sequence[int]
    settings: Mapping[str, str] = field(default_factory=dict)


def _services() -> Sequence[_Service]:
    """Return an edge with either of its loops, if it has both, and everything in one process."""
    serve = _Service("pogo serve", "memory", (1000,))
    if importlib.util.find_spec("pogo_speedups") is None:
        return _Service("edge", "nats", (100, 1000, 10_000)), serve
    pure = {PURE_PYTHON: "1"}
    return (
        _Service("edge, loop in C", "nats", (100, 1000, 10_000)),
        _Service("edge, loop in Python", "nats", (1000, 10_000), pure),
        serve,
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two that are compared, with as many clients each."""

    service: _Service
    site: Site
    publisher: Publisher
    load: Load
    limit: Limit
    limit_load: Load
    clients: int

    async def pair(self, context: Context, size: int, batch: int) -> tuple[Measured, Measured]:
        """Make the same deliveries by both."""
        calls = calls_for(context.seconds, self.clients)
        limit = await bare(self.limit, self.limit_load, calls, size, self.clients)
        if batch > 1:
            # So that the clients keep up.
            calls = max(5, calls // 4)
        rate = calls / context.seconds
        job = Job(_CHANNEL, size, calls, batch=batch, rate=rate)
        expected = calls * batch * self.clients
        edge = await deliver([self.site.edge.pid], [self.load], self.publisher, job, expected)
        return edge, limit


async def run(context: Context) -> None:
    """Measure an edge on NATS, and `pogo serve`, whose time includes that of its broker."""
    for service in _services():
        for count in service.counts:
            clients = context.clients(count)
            async with AsyncExitStack() as stack:
                site = await stack.enter_async_context(
                    context.site(service.bus, edge_settings=service.settings)
                )
                limit = await stack.enter_async_context(Limit())
                sides = _Sides(
                    service,
                    site,
                    await stack.enter_async_context(site.publisher()),
                    await stack.enter_async_context(site.load()),
                    limit,
                    await stack.enter_async_context(Load(limit.port, APP, SECRET)),
                    clients,
                )
                await sides.load.open(clients, _CHANNEL)
                await sides.limit_load.open(clients, _CHANNEL)
                await _measure(context, sides, joined=count == _JOINED_WITH)


async def _measure(context: Context, sides: _Sides, *, joined: bool) -> None:
    # What comes first pays for buffers that grow, on both sides.
    await sides.pair(context, _SIZES[0], 1)
    for size in _SIZES:
        pairs = [await sides.pair(context, size, 1) for _ in range(PAIRS)]
        _add(context, sides, size, 1, pairs)
    if joined:
        for batch in _JOINED:
            pairs = [await sides.pair(context, _SIZES[0], batch) for _ in range(PAIRS)]
            _add(context, sides, _SIZES[0], batch, pairs)


def _add(
    context: Context,
    sides: _Sides,
    size: int,
    batch: int,
    pairs: Sequence[tuple[Measured, Measured]],
) -> None:
    edges, limits = [edge for edge, _ in pairs], [limit for _, limit in pairs]
    each, least = median_each(edges), median_each(limits)
    is_edge = sides.service.bus == "nats"
    case = f"{sides.service.name}, 1 x {sides.clients:,}, {size:,} B"
    also = beside(context.report, edges) | {"limit_highest": max(one.each for one in limits)}
    if batch == 1:
        judged = is_edge and size == _SIZES[0] and sides.clients >= _JOINED_WITH
        target = _NEAR_THE_LIMIT if judged else None
        row = Row(case, "CPU a delivery", each, "µs", least, target, also)
    else:
        case += f", {batch} a turn"
        target = _JOINED[batch] if is_edge else None
        row = Row(case, "deliveries a core-second", 1e6 / each, "", 1e6 / least, target, also)
    context.report.add(row)
