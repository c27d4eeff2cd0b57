"""What is expected of the worker."""

import pytest

from pogo.authsvc.pace import Pace


def test_guesses_at_first() -> None:
    """As long as nothing is known, one request takes a twelfth of the longest wait."""
    pace = Pace(4, 3)

    assert pytest.approx(0.25) == pace.expected(-1, [])
    assert pytest.approx(0.25 * (1 + 12 / 4)) == pace.expected(11, [0, 0, 0, 0])


def test_learns_fast_and_then_slowly() -> None:
    """The first measure replaces the guess; later, one is a tenth."""
    pace = Pace(4, 3)
    pace.took(0.01)
    assert pytest.approx(0.01) == pace.average

    for _ in range(20):
        pace.took(0.01)
    pace.took(0.11)

    assert pytest.approx(0.02) == pace.average


def test_outlier_counts_as_the_longest_wait() -> None:
    """A request of minutes does not shut out those who come later."""
    pace = Pace(4, 3)
    for _ in range(20):
        pace.took(0)
    pace.took(600)

    assert pytest.approx(0.3) == pace.average


def test_one_stuck_request_costs_one_connection() -> None:
    """The three others go on as before."""
    pace = Pace(4, 3)
    pace.took(0.03)

    assert pytest.approx(0.03 * (4 + 61) / 3, rel=0.02) == pace.expected(60, [0, 0.01, 0.02, 25])


def test_all_stuck() -> None:
    """Who waits for a worker that has not answered for long is not answered soon."""
    pace = Pace(2, 3)
    pace.took(0.01)

    assert pytest.approx(3 * 3 / 2) == pace.expected(0, [3, 3])
    assert pytest.approx(5.4) == pace.expected(0, [2.25, 9])


def test_instant() -> None:
    """A worker that takes no time at all is no division by zero."""
    pace = Pace(1, 3)
    pace.took(0)

    assert pace.expected(99, [0]) < 0.001
