"""The cost model of presence against what edges and a nats-server really do."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.cluster import BenchError, Node, Server, ask_all, nodes_of
from bench.messages import Churn, Follow, Join, Leave, Own, Ready, Seat, Stats
from bench.phase import Meter, Phase, quantiles
from bench.plan import Plan
from bench.report import Report

_BEAT = 2.0
"""Seconds between two beats of a node."""

_SETTLE = 1.0
"""Seconds for what is left of one phase, before the next one begins."""

_CHURN_RATE = 100.0
"""Joins a second where none are given: far from the limit, so that latency is no queue."""

_OWN = 1000


class ModelRun:
    """One run of all phases."""

    def __init__(self, plan: Plan, report: Report, server: Server, edges: Sequence[Node]) -> None:
        self._plan = plan
        self._report = report
        self._server = server
        self._edges = edges
        self._meter = Meter(server, edges)
        self._idle = Phase()

    async def run(self) -> None:
        """Measure everything."""
        plan = self._plan
        await self._measure_idle()
        await self._measure_open()
        before = await self._memory()
        joins, leaves = Phase(), Phase()
        for number in range(plan.rounds):
            with self._report.step(f"round {number + 1} of {plan.rounds}: all join"):
                seats = plan.seats(f"r{number}", plan.openers, plan.members)
                joins.add(await self._join(seats))
            if number == 0:
                await self._measure_memory(before)
            if number < plan.rounds - 1:
                with self._report.step(f"round {number + 1} of {plan.rounds}: all leave"):
                    leaves.add(await self._leave(seats))
        pace = f"{plan.rate:g} a second" if plan.rate else "all at once"
        self._tell_changes(f"join, {pace}", joins)
        if leaves.changes:
            self._tell_changes("leave, all at once", leaves)
        await self._measure_churn()
        await self._check_rosters()
        await self._measure_probe()

    async def _measure_idle(self) -> None:
        seconds = max(6.0, self._plan.seconds)
        with self._report.step(f"idle for {seconds:g} s: beats"):
            await self._meter.begin()
            await asyncio.sleep(seconds)
            idle = self._idle = await self._meter.end()
        count = len(self._edges)
        add, beats, seconds = self._report.add, count / _BEAT, idle.seconds
        add("beats written", idle.writes / seconds, "1/s", beats)
        add("beats heard by all nodes", idle.beats_heard / seconds, "1/s", beats * count)
        add("idle: messages out of nats", idle.out_msgs / seconds, "1/s", beats * (count + 1))
        add("idle: bytes out of nats", idle.out_bytes / seconds, "B/s")
        add("idle: nats-server", idle.server_cpu / seconds * 100, "% of a core")
        add("idle: each edge", idle.edge_cpu / seconds / count * 100, "% of a core")

    async def _measure_open(self) -> None:
        """Have the first member of each channel join on each edge."""
        with self._report.step("each channel's first member on each edge"):
            opened = await self._join(self._plan.seats("first", 0, self._plan.openers))
        self._tell_changes("join that opens a channel", opened)

    async def _join(self, seats: Sequence[Sequence[Seat]]) -> Phase:
        await self._meter.begin()
        rate = self._plan.rate / len(self._edges)
        requests = [Join(list(own), rate) for own in seats]
        return await self._meter.end(await ask_all(self._edges, requests))

    async def _leave(self, seats: Sequence[Sequence[Seat]]) -> Phase:
        await asyncio.sleep(_SETTLE)
        await self._meter.begin()
        requests = [Leave([seat.socket_id for seat in own]) for own in seats]
        phase = await self._meter.end(await ask_all(self._edges, requests))
        await asyncio.sleep(_SETTLE)
        return phase

    async def _measure_churn(self) -> None:
        plan = self._plan
        rate = plan.rate or _CHURN_RATE
        with self._report.step(f"{rate:g} joins and leaves a second for {plan.seconds:g} s"):
            await asyncio.sleep(_SETTLE)
            await self._meter.begin()
            request = Churn(rate / len(self._edges), plan.seconds)
            replies = await ask_all(self._edges, [request] * len(self._edges))
            churn = await self._meter.end(replies)
        self._tell_changes(f"change, {rate * 2:g} a second", churn)
        heard = churn.changes_heard / churn.changes
        self._report.add("feed messages per change", heard, "", plan.spread)
        other = churn.beats * (1 + len(self._edges))
        out = (churn.out_msgs - other) / churn.changes
        self._report.add("messages out of nats per change", out, "", plan.spread + 1)
        carried = churn.out_bytes - self._idle.out_bytes / self._idle.seconds * churn.seconds
        self._report.add("bytes out of nats per change", carried / churn.changes, "B")

    def _tell_changes(self, what: str, phase: Phase) -> None:
        """Tell what one join or leave costs, without what beats cost meanwhile."""
        idle, changes, add = self._idle, phase.changes, self._report.add
        part = phase.seconds / idle.seconds
        server = phase.server_cpu - idle.server_cpu * part
        edges = phase.edge_cpu - idle.edge_cpu * part
        add(f"{what}: registry writes", (phase.writes - phase.beats) / changes, "", 1)
        add(f"{what}: nats-server", server / changes * 1e6, "µs")
        add(f"{what}: all edges together", edges / changes * 1e6, "µs")
        add(f"{what}: done", changes / phase.seconds, "1/s")
        if phase.latencies:
            median, late = quantiles(phase.latencies)
            add(f"{what}: latency p50", median, "ms")
            add(f"{what}: latency p99", late, "ms")

    async def _memory(self) -> tuple[int, int, int, int]:
        figures = await self._server.figures()
        edges = sum(edge.resident for edge in self._edges)
        return edges, self._server.resident, figures.stream_bytes, figures.messages

    async def _measure_memory(self, before: tuple[int, int, int, int]) -> None:
        plan, add = self._plan, self._report.add
        after = await self._memory()
        edges, server, stream, messages = (b - a for a, b in zip(before, after, strict=True))
        joined = plan.members - plan.openers
        add("stream: bytes per entry", stream / messages, "B")
        add("nats-server: resident per entry", server / joined, "B")
        held = joined * plan.spread
        add("edge: resident per entry in a roster", edges / held, "B (rough below 100,000)")

    async def _check_rosters(self) -> None:
        """See that all edges see the same, and all of it."""
        await asyncio.sleep(_SETTLE)
        replies = await ask_all(self._edges, [Stats()] * len(self._edges))
        seen: dict[str, set[int]] = {}
        for reply in replies:
            for channel, users in reply.users.items():
                seen.setdefault(channel, set()).add(users)
        different = [channel for channel, counts in seen.items() if len(counts) > 1]
        total = sum(max(counts) for counts in seen.values())
        self._report.add("members that every edge agrees on", total, "", self._plan.members)
        if different:
            raise BenchError(f"edges do not see the same on {different}")

    async def _measure_probe(self) -> None:
        """Have one more node read all of it, and trace what it allocates."""
        channels = [f"presence-room-{number}" for number in range(self._plan.channels)]
        with self._report.step("one more node reads everything"):
            async with Node("edge", self._server.url, "probe", self._plan.limit) as probe:
                await probe.ask(Ready(len(self._edges) + 1))
                followed = await probe.ask(Follow(channels))
                own = await probe.ask(Own(_OWN))
        add = self._report.add
        add("roster: traced per entry", followed.traced / followed.entries, "B")
        add("own entry: traced for its writer", own.traced / own.entries, "B more")


async def run_model(plan: Plan, report: Report) -> None:
    """Start everything, and measure."""
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as directory:
        async with (
            Server(Path(directory) / "nats") as server,
            nodes_of("edge", server, plan.edges, plan.limit) as edges,
        ):
            with report.step(f"{plan.edges} edges become a cluster"):
                await ask_all(edges, [Ready(plan.edges)] * plan.edges)
            await ModelRun(plan, report, server, edges).run()
