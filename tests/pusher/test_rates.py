import pytest

from pogo.pusher.rates import RateLimit


def _taken(limit: RateLimit, times: list[float]) -> list[bool]:
    busy_until = 0.0
    taken = []
    for now in times:
        after = limit.take(busy_until, now)
        taken.append(after is not None)
        busy_until = busy_until if after is None else after
    return taken


def test_burst_then_rate() -> None:
    """Three at once, then two a second."""
    limit = RateLimit(2, 3)

    assert [True, True, True, False] == _taken(limit, [10, 10, 10, 10])
    assert [True, True, True, False, True, False, True] == _taken(
        limit, [10, 10, 10, 10.4, 10.5, 10.5, 11]
    )


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    """However long a client rests, it has one burst."""
    assert [True, True, True, True, False] == _taken(RateLimit(1, 2), [0, 0, 1000, 1000, 1000])


@pytest.mark.parametrize("now", [0.3, 5031.123456789, 123456789.987654321])
def test_a_burst_is_whole_at_any_time(now: float) -> None:
    """However large the clock's numbers are, ten are ten."""
    assert [True] * 10 + [False] == _taken(RateLimit(10, 10), [now] * 11)


def test_negative_is_unlimited() -> None:
    """A negative rate lets everything pass."""
    assert all(_taken(RateLimit(-1, 1), [1.0] * 1000))


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0)])
def test_nothing_at_all_is_no_limit(rate: float, burst: int) -> None:
    """A limit that lets nothing pass is a mistake."""
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(rate, burst)
