"""Calls of back ends: what they cost a broker, by gRPC and by HTTP.

Each broker publishes to a bus in its own process (`pogo serve`, since `pogo broker` refuses such a
bus), which is the cost of the call alone, and to NATS, which confirms each event. Nobody is
subscribed. The limit of a gRPC call is a server that answers at once.

With one call in flight a broker sleeps and wakes for each, and once more for the confirmation.
"""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.servers import HOST

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.report import Row, Target
from bench.delivery.site import APP, SECRET, Site
from bench.publish.caller import Called, Job, caller
from bench.publish.child import Child
from bench.publish.echo import Listen, echo
from bench.publish.requests import Kind

TITLE = "calls of back ends, bare and confirmed by NATS"

_WINDOWS = (1, 32)
_ROUNDS = 5
_CALLS_A_SECOND = {Kind.UNARY: 3000, Kind.BROADCAST: 100, Kind.BATCH: 100, Kind.HTTP: 3000}
"""About as many as any of the servers answers on a slow machine, one after the other."""

_PATIENCE = 60.0
"""Seconds that any measurement may take, however few calls it has."""

_RATIOS = {1: Target(2.2), 32: Target(1.3)}
_EVENTS = Target(50_000, at_least=True)
_REQUESTS = Target(4000, at_least=True)


@dataclass(frozen=True, slots=True)
class _Server:
    """Somebody who is called."""

    name: str
    pid: int
    grpc_port: int
    http_port: int = 0

    @classmethod
    def of(cls, name: str, site: Site) -> "_Server":
        broker = site.broker
        return cls(name, broker.pid, int(broker.grpc.rpartition(":")[2]), broker.http_port)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What so many calls cost: seconds of processor time."""

    cpu: float
    calls: int
    called: Called

    @property
    def each(self) -> float:
        """Microseconds of processor time for a call."""
        return self.cpu / self.calls * 1e6


async def run(context: Context) -> None:
    """Call a broker on each bus, and the bare server, in turn."""
    async with AsyncExitStack() as stack:
        sites = {
            "memory": await stack.enter_async_context(context.site("memory")),
            "NATS": await stack.enter_async_context(context.site("nats")),
        }
        servers = [_Server.of(name, site) for name, site in sites.items()]
        limit = await stack.enter_async_context(echo())
        bare = _Server("bare", limit.pid, (await limit.do(Listen())).port)
        client = await stack.enter_async_context(caller())
        for kind in Kind:
            called = [bare, *servers] if kind is Kind.UNARY else servers
            for window in _WINDOWS:
                measured = await _measure(context, client, called, kind, window)
                _report(context, measured, kind, window)


async def _measure(
    context: Context,
    client: Child[Job, Called],
    servers: Sequence[_Server],
    kind: Kind,
    window: int,
) -> dict[str, list[_Measured]]:
    """Make the same calls of each server, again and again; the first round is to warm up."""
    calls = max(window, round(context.seconds * context.scale * _CALLS_A_SECOND[kind]))
    measured: dict[str, list[_Measured]] = {server.name: [] for server in servers}
    for number in range(_ROUNDS + 1):
        for server in servers:
            one = await _call(client, server, kind, window, calls if number else calls // 5 + 1)
            if number:
                measured[server.name].append(one)
    return measured


async def _call(
    client: Child[Job, Called], server: _Server, kind: Kind, window: int, calls: int
) -> _Measured:
    port = server.http_port if kind is Kind.HTTP else server.grpc_port
    before = cpu_seconds(server.pid)
    # As long as it would take a server that is ten times as slow as it should be.
    within = _PATIENCE + 10 * calls / _CALLS_A_SECOND[kind]
    called = await client.do(Job(kind, HOST, port, APP, SECRET, calls, window), within)
    return _Measured(cpu_seconds(server.pid) - before, calls, called)


def _report(
    context: Context, measured: dict[str, list[_Measured]], kind: Kind, window: int
) -> None:
    bare = measured.pop("bare", None)
    limit = None if bare is None else _median(bare)
    for bus, ones in measured.items():
        each = _median(ones)
        share = max(one.called.share for one in ones)
        context.report.check_share(share, "the caller")
        case = f"{kind.value}, {bus}, {window} in flight"
        beside = {
            "lowest": min(one.each for one in ones),
            "highest": max(one.each for one in ones),
            "calls_per_second": statistics.median(one.calls / one.called.seconds for one in ones),
            "share_of_caller": share,
        }
        on_nats = bus == "NATS"
        target = _RATIOS[window] if on_nats and limit is not None else None
        context.report.add(Row(case, "CPU a call", each, "µs", limit, target, beside))
        if kind.events > 1:
            rate = kind.events / each * 1e6
            target = _EVENTS if on_nats and kind is Kind.BATCH else None
            context.report.add(Row(case, "events a core-second", rate, "", target=target))
        elif kind is Kind.HTTP:
            target = _REQUESTS if on_nats else None
            context.report.add(Row(case, "requests a core-second", 1e6 / each, "", target=target))


def _median(measured: Sequence[_Measured]) -> float:
    return statistics.median(one.each for one in measured)
