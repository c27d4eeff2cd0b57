"""Clients that subscribe and unsubscribe all the time: what a pair costs, on NATS as well."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from tests.servers import HOST

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.native import Load
from bench.delivery.report import Row
from bench.delivery.site import Site

TITLE = "subscribe and unsubscribe, by 200 clients all the time, on NATS"
_CLIENTS = 200
_PAIRS_PER_SECOND = 3000
_ROUNDS = 3
_CASES = {
    "own channels": "churn-*",
    "shared channel": "news",
}


@dataclass(frozen=True, slots=True)
class _Round:
    """What so many pairs were, in microseconds of processor time and operations for each."""

    edge: float
    nats: float
    interests: float
    messages: float
    rate: float
    """Pairs a second."""


async def run(context: Context) -> None:
    """Have each client unsubscribe as soon as it is subscribed, and go on with the next channel.

    NATS has to do with channels that nobody else on the edge has; not with the shared one.
    """
    clients = context.clients(_CLIENTS)
    pairs = max(clients, round(context.seconds * _PAIRS_PER_SECOND))
    async with context.site("nats") as site, site.load() as stay, site.load() as load:
        await stay.open(2, "news")
        await load.open(clients, "base")
        for name, channel in _CASES.items():
            await _round(context, site, load, pairs // 5, channel)
            rounds = [await _round(context, site, load, pairs, channel) for _ in range(_ROUNDS)]
            _add(context, f"edge, {clients:,} clients, {name}", rounds)


async def _round(context: Context, site: Site, load: Load, pairs: int, channel: str) -> _Round:
    assert site.bus is not None
    server, edge = cpu_seconds(site.bus.pid), site.cpu
    before = await _counters(site)
    figures = await load.churn(pairs, channel)
    after = await _counters(site)
    context.report.check_load(figures)
    return _Round(
        (site.cpu - edge) / pairs * 1e6,
        (cpu_seconds(site.bus.pid) - server) / pairs * 1e6,
        (after["interests"] - before["interests"]) / pairs,
        (after["messages"] - before["messages"]) / pairs,
        pairs / figures.wall * 1e9,
    )


async def _counters(site: Site) -> Mapping[str, int]:
    """Ask the nats-server what it has had: messages, and interests that began or ended."""
    async with aiohttp.ClientSession(f"http://{HOST}:{site.monitor}") as session:
        async with session.get("/varz") as response:
            general = await response.json()
        async with session.get("/subsz") as response:
            interests = await response.json()
    return {
        "messages": general["in_msgs"],
        "interests": interests["num_inserts"] + interests["num_removes"],
    }


def _add(context: Context, case: str, rounds: list[_Round]) -> None:
    costs = [one.edge for one in rounds]
    also = {
        "lowest": min(costs),
        "highest": max(costs),
        "pairs_per_second": statistics.median(one.rate for one in rounds),
    }
    figures = {
        "CPU a pair": (statistics.median(costs), "µs"),
        "CPU of nats-server a pair": (statistics.median(one.nats for one in rounds), "µs"),
        "SUB and UNSUB to nats-server a pair": (
            statistics.median(one.interests for one in rounds),
            "",
        ),
        "messages to nats-server a pair": (statistics.median(one.messages for one in rounds), ""),
    }
    for figure, (value, unit) in figures.items():
        context.report.add(Row(case, figure, value, unit, beside=also))
