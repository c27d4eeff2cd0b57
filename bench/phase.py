"""One measured stretch of time: what everyone did and what it cost."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cluster import Node, Server, ServerFigures
from bench.messages import Reply, Stats


@dataclass(slots=True)
class Phase:
    """The figures of one phase; phases of the same kind add up."""

    seconds: float = 0
    joins: int = 0
    leaves: int = 0
    writes: int = 0
    """By how far the stream's sequence went."""
    beats: int = 0
    """Of all nodes, as one of them heard them."""
    beats_heard: int = 0
    """By all nodes together."""
    changes_heard: int = 0
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    server_cpu: float = 0
    edge_cpu: float = 0
    """Of all edges together."""
    latencies: list[float] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """Joins and leaves."""
        return self.joins + self.leaves

    def add(self, other: "Phase") -> None:
        """Take another phase of the same kind in."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def take(self, replies: Sequence[Reply]) -> None:
        """Take what the edges report that they did."""
        self.joins += sum(reply.joins for reply in replies)
        self.leaves += sum(reply.leaves for reply in replies)
        self.latencies += [latency for reply in replies for latency in reply.latencies]


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    figures: ServerFigures
    server_cpu: float
    edge_cpu: float
    counters: list[Reply]


class Meter:
    """Measures phases of one server and its edges."""

    def __init__(self, server: Server, edges: Sequence[Node]) -> None:
        self._server = server
        self._edges = edges
        self._before: _Reading | None = None

    async def begin(self) -> None:
        """Read everything, processor time last."""
        counters = [await edge.ask(Stats()) for edge in self._edges]
        figures = await self._server.figures()
        self._before = self._reading(figures, counters)

    async def end(self, replies: Sequence[Reply] = ()) -> Phase:
        """Read everything again, processor time first; returns the difference."""
        before = self._before
        assert before is not None
        now = self._reading(before.figures, before.counters)
        figures = await self._server.figures()
        counters = [await edge.ask(Stats()) for edge in self._edges]
        heard = [
            (new.beats_heard - old.beats_heard, new.changes_heard - old.changes_heard)
            for old, new in zip(before.counters, counters, strict=True)
        ]
        old = before.figures
        phase = Phase(
            seconds=now.at - before.at,
            writes=figures.last_seq - old.last_seq,
            beats=max((beats for beats, _ in heard), default=0),
            beats_heard=sum(beats for beats, _ in heard),
            changes_heard=sum(changes for _, changes in heard),
            in_msgs=figures.in_msgs - old.in_msgs,
            out_msgs=figures.out_msgs - old.out_msgs,
            in_bytes=figures.in_bytes - old.in_bytes,
            out_bytes=figures.out_bytes - old.out_bytes,
            server_cpu=now.server_cpu - before.server_cpu,
            edge_cpu=now.edge_cpu - before.edge_cpu,
        )
        phase.take(replies)
        return phase

    def _reading(self, figures: ServerFigures, counters: list[Reply]) -> _Reading:
        edge_cpu = sum(edge.cpu for edge in self._edges)
        return _Reading(time.monotonic(), figures, self._server.cpu, edge_cpu, counters)


def quantiles(latencies: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    if not latencies:
        return 0.0, 0.0
    ordered = sorted(latencies)
    return statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3
