"""The circuit breaker, by a clock of the test's own."""

import pytest

from pogo.authsvc.breaker import Circuit, CircuitBreaker
from pogo.authsvc.errors import CircuitOpenError


def _opened(told: list[Circuit] | None = None) -> CircuitBreaker:
    breaker = CircuitBreaker(2, 10, changed=(told if told is not None else []).append)
    for _ in range(2):
        breaker.failed(breaker.admit(0), 0)
    return breaker


def test_opens_after_failures_in_a_row() -> None:
    """One success in between begins the count anew."""
    breaker = CircuitBreaker(2, 10)
    for outcome in (breaker.failed, breaker.succeeded, breaker.failed):
        outcome(breaker.admit(0), *([0] if outcome == breaker.failed else []))
    before = breaker.state

    breaker.failed(breaker.admit(0), 0)

    assert [Circuit.CLOSED, Circuit.OPEN] == [before, breaker.state]


@pytest.mark.parametrize(("now", "wait"), [(0, 10), (4, 6), (9.9, 1)])
def test_says_how_long_it_is_open(now: float, wait: float) -> None:
    """Who is sent away is told when to come again, in a second at the soonest."""
    breaker = _opened()

    with pytest.raises(CircuitOpenError) as caught:
        breaker.admit(now)

    assert wait == caught.value.retry_after


def test_one_probe_only() -> None:
    """After the wait one is let through, and nobody else until its fate is known."""
    breaker = _opened()
    breaker.admit(10)

    assert Circuit.PROBING is breaker.state
    with pytest.raises(CircuitOpenError):
        breaker.admit(1000)


def test_closes_when_the_probe_succeeds() -> None:
    """Both are told of, once."""
    told: list[Circuit] = []
    breaker = _opened(told)

    breaker.succeeded(breaker.admit(10))
    breaker.succeeded(breaker.admit(10))

    assert Circuit.CLOSED is breaker.state
    assert [Circuit.OPEN, Circuit.CLOSED] == told


def test_probe_fails() -> None:
    """One failure is enough then, and the wait begins anew."""
    told: list[Circuit] = []
    breaker = _opened(told)

    breaker.failed(breaker.admit(10), 12)

    assert [Circuit.OPEN, Circuit.OPEN] == told
    with pytest.raises(CircuitOpenError):
        breaker.admit(21)
    breaker.admit(22)


def test_abandoned_probe_does_not_stick() -> None:
    """The next one probes, and it is not told as if the worker had failed again."""
    told: list[Circuit] = []
    breaker = _opened(told)

    breaker.abandoned(breaker.admit(10), 10.5)
    breaker.succeeded(breaker.admit(10.5))

    assert Circuit.CLOSED is breaker.state
    assert [Circuit.OPEN, Circuit.CLOSED] == told


def test_what_was_let_through_before_does_not_count() -> None:
    """An old request neither ends the probe, nor lets a second one start, nor opens it again."""
    breaker = CircuitBreaker(2, 10)
    old = [breaker.admit(0) for _ in range(5)]
    breaker.failed(old[0], 0)
    breaker.failed(old[1], 0)
    probe = breaker.admit(10)

    breaker.failed(old[2], 10)
    breaker.abandoned(old[3], 10)
    breaker.succeeded(old[4])
    during = breaker.state
    breaker.succeeded(probe)
    breaker.failed(old[2], 11)
    breaker.failed(old[3], 11)

    assert [Circuit.PROBING, Circuit.CLOSED] == [during, breaker.state]
