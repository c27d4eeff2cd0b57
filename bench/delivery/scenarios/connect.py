"""Clients that come: what connecting, the handshake and a subscription cost."""

import statistics
from dataclasses import dataclass

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.native import Limit, Load, LoadFigures
from bench.delivery.report import Row, Target
from bench.delivery.site import APP, SECRET

TITLE = "connect, shake hands and subscribe, with a browser's headers"
_CLIENTS = 2000
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Kind:
    bus: str
    name: str
    channel: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class _Connected:
    cpu: float
    """Microseconds a connection."""
    load: LoadFigures


_KINDS = (
    _Kind("memory", "pogo serve, public, shared channel", "news", Target(300)),
    _Kind("memory", "pogo serve, private, shared channel", "private-news", Target(310)),
    _Kind("memory", "pogo serve, public, own channels", "news-*"),
    _Kind("memory", "pogo serve, private, own channels", "private-App.Models.User.*"),
    _Kind("nats", "edge, public, shared channel", "news"),
    _Kind("nats", "edge, private, shared channel", "private-news"),
    _Kind("nats", "edge, public, own channels", "news-*"),
    _Kind("nats", "edge, private, own channels", "private-App.Models.User.*"),
)


async def run(context: Context) -> None:
    """Connect clients again and again; the limit only accepts and answers by fixed texts."""
    clients = context.clients(_CLIENTS)
    bare = await _bare(clients)
    for kind in _KINDS:
        async with context.site(kind.bus) as site, site.load() as load:
            await _connect(load, site.edge.pid, clients, kind.channel)
            each = [
                await _connect(load, site.edge.pid, clients, kind.channel) for _ in range(_ROUNDS)
            ]
            for one in each:
                context.report.check_load(one.load)
            cpu = statistics.median(one.cpu for one in each)
            context.report.add(
                Row(
                    kind.name,
                    "CPU a connection",
                    cpu,
                    "µs",
                    target=kind.target,
                    beside={
                        "lowest": min(one.cpu for one in each),
                        "highest": max(one.cpu for one in each),
                        "connections_per_second": statistics.median(
                            clients / one.load.wall * 1e9 for one in each
                        ),
                        "bare_accept": bare,
                    },
                )
            )


async def _bare(clients: int) -> float:
    async with Limit() as limit, Load(limit.port, APP, SECRET) as load:
        rounds = [await _connect(load, limit.pid, clients, "news") for _ in range(_ROUNDS)]
        return statistics.median(one.cpu for one in rounds)


async def _connect(load: Load, pid: int, clients: int, channel: str) -> _Connected:
    """Connect all clients, and then drop them."""
    before = cpu_seconds(pid)
    figures = await load.open(clients, channel)
    cpu = cpu_seconds(pid) - before
    await load.drop()
    return _Connected(cpu / clients * 1e6, figures)
