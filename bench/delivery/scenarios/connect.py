"""Clients that come: what connecting, the handshake and a subscription cost."""

import statistics
from dataclasses import dataclass

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.native import Limit, Load
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


_KINDS = (
    _Kind("memory", "pogo serve, public, shared channel", "news", Target(300)),
    _Kind("memory", "pogo serve, private, shared channel", "private-news", Target(310)),
    _Kind("memory", "pogo serve, public, own channels", "news-*"),
    _Kind("memory", "pogo serve, private, own channels", "private-App.Models.User.*"),
    _Kind("nats", "edge, public, shared channel", "news"),
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
            cpu = statistics.median(cpu for cpu, _ in each)
            context.report.add(
                Row(
                    kind.name,
                    "CPU a connection",
                    cpu,
                    "µs",
                    target=kind.target,
                    beside={
                        "lowest": min(cpu for cpu, _ in each),
                        "highest": max(cpu for cpu, _ in each),
                        "connections_per_second": statistics.median(rate for _, rate in each),
                        "bare_accept": bare,
                    },
                )
            )


async def _bare(clients: int) -> float:
    async with Limit() as limit, Load(limit.port, APP, SECRET) as load:
        rounds = [await _connect(load, limit.pid, clients, "news") for _ in range(_ROUNDS)]
        return statistics.median(cpu for cpu, _ in rounds)


async def _connect(load: Load, pid: int, clients: int, channel: str) -> tuple[float, float]:
    """Return the microseconds that a connection cost, and connections a second; then drop all."""
    before = cpu_seconds(pid)
    figures = await load.open(clients, channel)
    cpu = cpu_seconds(pid) - before
    await load.drop()
    return cpu / clients * 1e6, clients / figures.wall * 1e9
