"""How much one nats-server absorbs, and what happens when an edge dies with everyone on it."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import Node, Server, ask_all, nodes_of
from bench.headless import APP
from bench.messages import Join, Ready, Reply, Seat, Sink, Stats, Write
from bench.phase import Meter, quantiles
from bench.plan import Plan
from bench.report import BUSY, Report

_GENERATORS = 2
_BATCH = 250
"""Entries that a generator writes at a time: an edge's writer takes up to 500."""

_WATCHERS = (0, 1, 4, 10)
GOAL = 5000.0
"""Joins a second that one nats-server should absorb."""

_PAUSE = 1.0
_DEAD_WITHIN = 15.0
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of load on a nats-server."""

    unit: str
    role: str
    subject: str
    """Who watches gets all of this."""
    answers: int
    """Messages that confirm each of them to whoever sent it."""
    goal: float | None = None


_KINDS = (
    _Kind("join", "generator", "pogo.v1.reg.p.>", 1, GOAL),
    _Kind("event", "publisher", f"pogo.v1.{APP}.ch.>", 0),
)


async def run_storm(plan: Plan, report: Report) -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as directory:
        for kind in _KINDS:
            async with Server(Path(directory) / kind.role) as server:
                for watchers in _WATCHERS:
                    await _Load(plan, report, server, kind, watchers).run()
        async with (
            Server(Path(directory) / "storm") as server,
            nodes_of("edge", server, plan.edges, plan.limit) as edges,
        ):
            await _reconnect(plan, report, server, edges)


class _Load:
    """As much as a nats-server takes, with so many connections that watch."""

    def __init__(
        self, plan: Plan, report: Report, server: Server, kind: _Kind, watchers: int
    ) -> None:
        self._plan = plan
        self._report = report
        self._server = server
        self._kind = kind
        self._watchers = watchers
        self._what = f"{kind.unit}s, {watchers} watch"

    async def run(self) -> None:
        """Measure it."""
        server, plan = self._server, self._plan
        async with (
            nodes_of(self._kind.role, server, _GENERATORS) as generators,
            Node("sinks", server.url, "sinks", 0) as sinks,
        ):
            await asyncio.sleep(_PAUSE)
            await sinks.ask(Sink(self._watchers, self._kind.subject))
            figures = await server.figures()
            before = [server.cpu, sinks.cpu, *(node.cpu for node in generators)]
            with self._report.step(f"{self._what}, {plan.seconds:g} s"):
                request = Write(plan.seconds, plan.rate / _GENERATORS, _BATCH)
                replies = await ask_all(generators, [request] * _GENERATORS)
            after = [server.cpu, sinks.cpu, *(node.cpu for node in generators)]
            more = await server.figures()
            await ask_all(generators, [Stats()] * _GENERATORS)
        used = [b - a for a, b in zip(before, after, strict=True)]
        self._tell_cpu(replies, used)
        done = sum(reply.joins for reply in replies)
        out, size = more.out_msgs - figures.out_msgs, more.out_bytes - figures.out_bytes
        expected = self._watchers + self._kind.answers
        self._tell("messages out of nats", out / done, f"per {self._kind.unit}", expected)
        self._tell("bytes out of nats", size / done, f"per {self._kind.unit}")

    def _tell_cpu(self, replies: Sequence[Reply], used: Sequence[float]) -> None:
        """Tell how many were absorbed, and by whose processor time."""
        seconds = max(reply.seconds for reply in replies)
        rate = sum(reply.joins for reply in replies) / seconds
        names = ["nats-server", "sinks", *(f"generator {n}" for n in range(_GENERATORS))]
        self._tell("absorbed", rate, "1/s", self._kind.goal)
        self._tell("nats-server", used[0] / seconds / rate * 1e6, f"µs per {self._kind.unit}")
        median, late = quantiles([latency for reply in replies for latency in reply.latencies])
        self._tell(f"batch of {_BATCH}, p50", median, "ms")
        self._tell(f"batch of {_BATCH}, p99", late, "ms")
        for name, cpu in zip(names, used, strict=True):
            share = cpu / seconds
            self._tell(name, share * 100, "% of a core")
            if share > BUSY and name != "nats-server":
                self._report.warn(f"{self._what}: {name} used {share:.0%} of a core: the limit?")

    def _tell(self, what: str, measured: float, unit: str, model: float | None = None) -> None:
        self._report.add(f"{self._what}: {what}", measured, unit, model)


async def _reconnect(plan: Plan, report: Report, server: Server, edges: Sequence[Node]) -> None:
    """Kill one edge, and have everyone on it come back on the others."""
    with report.step(f"{plan.edges} edges, {plan.members} members"):
        await ask_all(edges, [Ready(plan.edges)] * plan.edges)
        seats = plan.seats("member", 0, plan.members)
        await ask_all(edges, [Join(own) for own in seats])
    victim, *others = edges
    meter = Meter(server, others)
    await meter.begin()
    with report.step(f"{victim.name} dies, its {len(seats[0])} members come back"):
        await victim.kill()
        died = time.monotonic()
        replies = await ask_all(others, [Join(own) for own in _dealt(seats[0], len(others))])
        back = time.monotonic() - died
    storm = await meter.end(replies)
    add = report.add
    median, late = quantiles(storm.latencies)
    add("storm: members who came back", storm.joins, "", len(seats[0]))
    add("storm: registry writes per member", (storm.writes - storm.beats) / storm.joins, "", 1)
    add("storm: all are present again after", back * 1e3, "ms")
    add("storm: latency p50", median, "ms")
    add("storm: latency p99", late, "ms")
    add("storm: nats-server", storm.server_cpu / storm.joins * 1e6, "µs per member")
    add("storm: edges together", storm.edge_cpu / storm.joins * 1e6, "µs per member")
    await _reaped(report, others, died)


async def _reaped(report: Report, others: Sequence[Node], died: float) -> None:
    """Wait until the dead edge is known to be dead, and see that nobody was announced gone."""
    before = await ask_all(others, [Stats()] * len(others))
    with report.step("the others find out"):
        async with asyncio.timeout(_DEAD_WITHIN):
            after = before
            while any(reply.nodes > len(others) for reply in after):
                await asyncio.sleep(_POLL)
                after = await ask_all(others, [Stats()] * len(others))
    seconds = time.monotonic() - died
    await asyncio.sleep(_PAUSE)
    after = await ask_all(others, [Stats()] * len(others))
    announced = sum(r.announced for r in after) - sum(r.announced for r in before)
    report.add("storm: declared dead after", seconds, "s (6 to 10)")
    report.add("storm: announced by that", announced, "member events", 0)


def _dealt(seats: Sequence[Seat], hands: int) -> list[list[Seat]]:
    """Deal seats out as new connections of the same users."""
    dealt: list[list[Seat]] = [[] for _ in range(hands)]
    for number, seat in enumerate(seats):
        again = Seat(f"{seat.socket_id}.again", seat.channel, seat.user_id)
        dealt[number % hands].append(again)
    return dealt
