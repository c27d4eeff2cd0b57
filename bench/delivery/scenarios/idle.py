"""Connections that are open and silent: what one costs in memory, and all of them in time."""

import asyncio

from bench.delivery.context import Context
from bench.delivery.native import Load
from bench.delivery.report import Row, Target
from bench.delivery.site import Site

TITLE = "connections that are open, subscribed and silent"
_COUNTS = (1000, 15_000)
_SHARED, _OWN = "news", "private-App.Models.User.*"
_TARGETS = {_SHARED: Target(2.5), _OWN: Target(4.2)}
_WARM = 200
_SETTLE = 1.0
"""Seconds after which nothing that the connecting began is under way."""
_KILOBYTE = 1024

_PING_PERIOD = 6.0
_DEFAULT_PERIOD = 54.0
"""Seconds: all that a silent connection costs is its ping, so more of them are measured."""
_SETTINGS = {"POGO_PING_PERIOD": f"{_PING_PERIOD}s", "POGO_PONG_WAIT": "10s"}
_TEN_THOUSAND = 10_000


async def run(context: Context) -> None:
    """Measure both buses; each client on the one channel, and each on a channel of its own."""
    for bus in ("memory", "nats"):
        for channel in (_SHARED, _OWN):
            name = "edge" if bus == "nats" else "pogo serve"
            name += ", shared channel" if channel == _SHARED else ", own channels"
            async with context.site(bus, settings=_SETTINGS) as site, site.load() as load:
                # Of the targets, that of own channels is for NATS.
                target = _TARGETS[channel] if channel == _SHARED or bus == "nats" else None
                await _memory(context, site, load, name=name, channel=channel, target=target)
                await _time(context, name, site, load)


async def _memory(
    context: Context, site: Site, load: Load, *, name: str, channel: str, target: Target | None
) -> None:
    # What the first connections bring with them stays: modules, buffers, pools.
    await load.open(_WARM, channel)
    await load.drop()
    await asyncio.sleep(_SETTLE)
    empty, opened = site.resident, 0
    for count in _COUNTS:
        clients = context.clients(count)
        await load.open(clients - opened, channel)
        opened = clients
        await asyncio.sleep(_SETTLE)
        context.report.add(
            Row(
                f"{name}, {clients:,}",
                "memory a connection",
                (site.resident - empty) / clients / _KILOBYTE,
                "KB",
                target=target if count == _COUNTS[-1] else None,
                beside={"resident": site.resident, "empty": empty},
            )
        )


async def _time(context: Context, name: str, site: Site, load: Load) -> None:
    """Measure pings, and tell what they cost when they are as rare as they are by default."""
    earlier, before = await load.wait(0, 0), site.cpu
    await asyncio.sleep(_PING_PERIOD)
    used, figures = site.cpu - before, await load.wait(0, 0)
    pings = max(1, figures.reads - earlier.reads)
    share = used / pings * _TEN_THOUSAND / _DEFAULT_PERIOD
    context.report.add(
        Row(
            f"{name}, {figures.opened:,}",
            "CPU for 10,000 silent connections",
            share * 100,
            "% of a core",
            beside={"pings": pings, "microseconds_a_ping": used / pings * 1e6},
        )
    )
