"""For how long events wait: pure, with the time passed in."""

import random

from pogo.broker.webhooks.patience import Patience


def test_the_first_failure_begins_the_clock() -> None:
    """All that waited then expires together, and not a moment earlier."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)

    assert 0 == patience.expired(1299.9)
    assert 7 == patience.expired(1300)


def test_later_events_have_later_clocks() -> None:
    """What came behind a failing head is tried for as long, from the next failure on."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)
    patience.failed(1010, head=1, events=7)
    patience.failed(1100, head=1, events=9)
    patience.failed(1300, head=1, events=20)

    assert 7 == patience.expired(1300)
    assert 9 == patience.expired(1400)
    assert 20 == patience.expired(1600)


def test_removed_events_are_not_counted() -> None:
    """The clocks of those behind go on when the head is dropped."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)
    patience.failed(1100, head=1, events=9)
    patience.removed(3)

    assert 4 == patience.expired(1300)
    assert 6 == patience.expired(1400)
    patience.removed(4)
    assert 2 == patience.expired(1400)


def test_success_begins_anew() -> None:
    """What an endpoint that works has not got yet is not late."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)
    patience.succeeded()
    patience.failed(1290, head=3, events=5)

    assert 0 == patience.expired(1300)
    assert 5 == patience.expired(1590)


def test_removed_by_somebody_else() -> None:
    """Another head than before means that nobody knows how old what is left is."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)
    patience.failed(1200, head=5, events=7)

    assert 0 == patience.expired(1300)
    assert 7 == patience.expired(1500)


def test_own_removals_are_known() -> None:
    """After the head was dropped, another one is no surprise."""
    patience = Patience(300)
    patience.failed(1000, head=1, events=7)
    patience.removed(2)
    patience.failed(1200, head=3, events=9)

    assert 5 == patience.expired(1300)


def test_never_too_early_and_hardly_too_late() -> None:
    """Of 5,000 failures each event is kept for the limit, and for a hundredth of it more."""
    rng = random.Random(1)  # noqa: S311 (not for cryptography)
    patience = Patience(300)
    now, removed = 0.0, 0
    first_failure: list[float] = []
    for _ in range(5000):
        now += rng.uniform(0, 2)
        first_failure += [now] * rng.choice([0, 0, 1, 5])
        waiting = len(first_failure) - removed
        if not waiting:
            continue
        patience.failed(now, head=removed, events=waiting)
        expired = patience.expired(now)
        if expired:
            gone = first_failure[removed : removed + expired]
            assert max(gone) <= now - 300
            removed += expired
            patience.removed(expired)
        assert all(at > now - 300 * 1.02 for at in first_failure[removed : removed + 1])
    assert removed > 5000
