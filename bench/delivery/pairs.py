"""The same deliveries by the services and by the bare loop, in turn: what is compared."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bench.cluster import BenchError
from bench.cpu import cpu_seconds
from bench.delivery.native import Limit, Load, LoadFigures
from bench.delivery.publisher import Job, Publisher
from bench.delivery.report import Scenario

WRITES_PER_SECOND = 40_000
"""Writes that either side is asked for: well below what it can do, so that nothing piles up."""

MAX_CALLS_PER_SECOND = 500
"""Calls that a broker answers while it does much else; few subscribers get fewer writes."""

PAIRS = 7
"""Pairs of each case. They are short and many, since the machine is faster at times than at others:
the medians count."""

_SPARE = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One side of a pair: what it cost, in seconds of processor time."""

    cpu: float
    deliveries: int
    wall: float
    load: LoadFigures

    @property
    def each(self) -> float:
        """Microseconds of processor time for a delivery."""
        return self.cpu / self.deliveries * 1e6

    @property
    def joined(self) -> float:
        """Events that a client had by one read, on average."""
        return self.load.events / self.load.reads


def calls_for(seconds: float, subscribers: int) -> int:
    """Return how many calls make as many writes for so long; five at the least."""
    return max(5, round(seconds * _rate(subscribers)))


def _rate(subscribers: int) -> float:
    """Return the calls a second that make as many writes as they should."""
    return min(WRITES_PER_SECOND / subscribers, MAX_CALLS_PER_SECOND)


async def deliver(
    pids: Sequence[int], loads: Sequence[Load], publisher: Publisher, job: Job, expected: int
) -> Measured:
    """Publish, and wait until every client has had everything.

    `expected` is the number of deliveries to the clients of each load; `pids` are the processes
    whose time counts.

    Raises:
        BenchError: Something did not arrive, or arrived twice.
    """
    for load in loads:
        await load.begin()
    before = sum(map(cpu_seconds, pids))
    seconds = (job.calls / job.rate if job.rate else job.calls) + _SPARE
    async with _arriving(loads, expected, seconds) as arriving:
        await publisher.publish(job)
        figures = await asyncio.gather(*arriving)
    cpu = sum(map(cpu_seconds, pids)) - before
    for one in figures:
        _check(one, expected)
    return Measured(cpu, expected * len(loads), figures[0].wall / 1e9, figures[0])


async def bare(limit: Limit, load: Load, rounds: int, size: int, clients: int) -> Measured:
    """Make the same deliveries by the bare loop, one event at a time.

    Raises:
        BenchError: Something did not arrive.
    """
    rate = _rate(clients)
    await load.begin()
    before = cpu_seconds(limit.pid)
    expected = rounds * clients
    async with _arriving([load], expected, rounds / rate + _SPARE) as (arriving,):
        await limit.send(rounds, size, rate)
        figures = await arriving
    cpu = cpu_seconds(limit.pid) - before
    _check(figures, expected)
    return Measured(cpu, expected, figures.wall / 1e9, figures)


@contextlib.asynccontextmanager
async def _arriving(
    loads: Sequence[Load], expected: int, seconds: float
) -> AsyncIterator[list[asyncio.Task[LoadFigures]]]:
    """Wait for so many deliveries to each load, for as long as the caller has to do with them."""
    tasks = [asyncio.create_task(load.wait(expected, seconds)) for load in loads]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def median_each(measured: Sequence[Measured]) -> float:
    """Return the median of what a delivery cost."""
    return statistics.median(one.each for one in measured)


def beside(scenario: Scenario, measured: Sequence[Measured]) -> dict[str, float]:
    """Say what else was seen, and warn where the clients were too busy."""
    for one in measured:
        scenario.check_load(one.load)
    return {
        "lowest": min(one.each for one in measured),
        "highest": max(one.each for one in measured),
        "deliveries_per_second": statistics.median(one.deliveries / one.wall for one in measured),
        "events_per_read": statistics.median(one.joined for one in measured),
        "share_of_clients": max(one.load.share for one in measured),
    }


def _check(figures: LoadFigures, expected: int) -> None:
    if figures.lost:
        raise BenchError(f"{figures.lost} clients lost their connection")
    if figures.events != expected or figures.fewest != figures.most:
        raise BenchError(
            f"{figures.events} of {expected} deliveries arrived; "
            f"{figures.fewest} to {figures.most} for each client"
        )
