"""What a soak has shown: whether memory stays, and whether anything of the clients remains.

Memory stays where a straight line through a process's samples, fitted by least squares, rises by
less than a bound between the end of the warm-up and the end of the soak. The bound is a share of
the memory itself, but not less than 2 MB, as allocators take it in steps; nor less than 4 MB for a
nats-server or redis-server, whose collectors let it sway by as much. In a soak of 30 minutes, with
some 30,000 clients after the warm-up, 2 MB are 70 bytes that each of them would leave behind.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.soak.client import Activity
from bench.soak.samples import Sample

MEGABYTE = 1 << 20

WARM_UP = 0.2
"""The share of a soak in which memory may grow: buffers, pools and caches fill."""

_STEPS, _SWAY = 2 * MEGABYTE, 4 * MEGABYTE
_SERVERS = ("nats-server", "redis-server")

_OPENED_LATE = 4
"""Files that libraries open when there is much to do at once for the first time, and then keep:
gRPC does. A connection that is not closed is one for each client, or for each call."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold."""

    what: str
    passed: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the verdict is about."""

    samples: Sequence[Sample]
    """With clients."""
    before: Sample
    """Before the clients came, when each kind of work had been done once."""
    after: Sample
    """After they had left."""
    activity: Activity
    errors: Sequence[str]
    """What services logged that needs somebody's attention."""


def judge(evidence: Evidence, bound: float) -> list[Check]:
    """Judge a soak; memory may grow by the share `bound`, 0.02 for 2 %."""
    return [
        *_memory_stays(evidence.samples, bound),
        *_nothing_remains(evidence),
        Check("no client was refused or cut off", *_none(evidence.activity.faults)),
        Check("no service logged an error", *_none(evidence.errors)),
    ]


def growth(samples: Sequence[Sample], process: str) -> float:
    """Return by how many bytes the memory of a process grew after the warm-up."""
    first, last = samples[0].seconds, samples[-1].seconds
    warm = [one for one in samples if one.seconds >= first + WARM_UP * (last - first)]
    times = [one.seconds for one in warm]
    memory = [one.resident[process] for one in warm]
    if len(warm) < 2:  # noqa: PLR2004 - a line has two ends
        return 0.0
    return statistics.linear_regression(times, memory).slope * (times[-1] - times[0])


def _memory_stays(samples: Sequence[Sample], bound: float) -> Iterator[Check]:
    for process in samples[0].resident:
        grown, last = growth(samples, process), samples[-1].resident[process]
        yield Check(
            f"the memory of {process} stays",
            grown < max(bound * last, _SWAY if process in _SERVERS else _STEPS),
            f"{grown / MEGABYTE:+.2f} MB after the warm-up, {last / MEGABYTE:.1f} MB at the end",
        )


def _nothing_remains(evidence: Evidence) -> Iterator[Check]:
    before, after = evidence.before, evidence.after
    for name, count in after.held.items():
        yield Check(f"no {name} remain", count == 0, str(count))
    for process, files in after.files.items():
        at_first = before.files[process]
        yield Check(
            f"no open files of {process} remain",
            files <= at_first + _OPENED_LATE,
            f"{files}, {at_first} at first",
        )


def _none(faults: Sequence[str] | dict[str, int]) -> tuple[bool, str]:
    return not faults, f"{len(faults)} kinds, the first: {next(iter(faults))}" if faults else "none"
