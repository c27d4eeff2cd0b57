"""What a soak is judged by."""

from collections import Counter
from collections.abc import Callable

import pytest
from bench.soak.client import Activity
from bench.soak.samples import Sample
from bench.soak.verdict import Evidence, growth, judge

MEGABYTE = 1 << 20
EMPTY = {"connections": 0, "registry entries": 0}


def sample(seconds: float, resident: float, *, files: int = 9, connections: int = 0) -> Sample:
    """Make a sample of a site that is one process, whose memory is given in megabytes."""
    return Sample(
        seconds,
        {"serve": round(resident * MEGABYTE)},
        {"serve": files},
        {"serve": 1.0, "clients": 1.0},
        EMPTY | {"connections": connections},
    )


def samples(memory: Callable[[float], float]) -> list[Sample]:
    """Make the samples of ten minutes, one every 5 seconds."""
    return [sample(second, memory(second)) for second in range(0, 601, 5)]


def evidence(**changed: object) -> Evidence:
    """Make the evidence of a soak in which all went well, but for what is changed."""
    good = {
        "samples": samples(lambda _: 100),
        "before": sample(0, 90),
        "after": sample(0, 100),
        "activity": Activity(),
        "errors": [],
    }
    return Evidence(**{**good, **changed})  # type: ignore[arg-type]  # each is what it should be


def test_growth_is_that_after_the_warm_up() -> None:
    """What memory grows at first counts for nothing, and a rise from then on as a whole."""
    warm_up = 120.0
    assert growth(samples(lambda at: min(at, warm_up)), "serve") == pytest.approx(0, abs=10)
    # From 100 to 104 MB between the end of the warm-up and the end.
    steady = samples(lambda at: 100 + 4 * max(0.0, at - warm_up) / 480)
    assert growth(steady, "serve") == pytest.approx(4 * MEGABYTE, rel=0.01)


def test_growth_takes_time() -> None:
    """Of one sample, as there is of a soak that was broken off at once, there is none."""
    assert growth([sample(0, 100)], "serve") == 0


def test_growth_is_no_sawtooth() -> None:
    """Memory that comes and goes, as that of collected garbage does, stays."""
    assert abs(growth(samples(lambda at: 100 + at % 60 / 10), "serve")) < MEGABYTE


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, []),
        ({"samples": samples(lambda at: 100 + at / 60)}, ["the memory of serve stays"]),
        ({"samples": samples(lambda at: 100 - at / 60)}, []),
        ({"samples": samples(lambda at: 20 + at / 600 * 2)}, []),
        ({"after": sample(0, 100, connections=1)}, ["no connections remain"]),
        ({"after": sample(0, 100, files=14)}, ["no open files of serve remain"]),
        ({"after": sample(0, 100, files=13)}, []),
        (
            {"activity": Activity(faults=Counter({"ConnectionClosedError: 1006": 1}))},
            ["no client was refused or cut off"],
        ),
        ({"errors": ["a traceback"]}, ["no service logged an error"]),
    ],
)
def test_verdict(changed: dict[str, object], failed: list[str]) -> None:
    """Each thing that goes wrong fails its own check."""
    checks = judge(evidence(**changed), 0.02)
    assert failed == [check.what for check in checks if not check.passed]
    assert 6 == len(checks)
