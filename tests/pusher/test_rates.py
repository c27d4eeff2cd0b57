import pytest

from pogo.pusher.rates import RateLimit, share


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


def test_many_at_once() -> None:
    """So many are taken, or none; what a burst has no room for waits."""
    limit = RateLimit(2, 4)
    busy_until = limit.take_many(0.0, 10.0, 3)

    assert 11.5 == busy_until
    assert limit.take_many(busy_until, 10.0, 2) is None
    assert 0.5 == limit.wait(busy_until, 10.0, 2)
    assert 12.5 == limit.take_many(busy_until, 10.5, 2)


def test_more_than_a_burst_is_paid_for() -> None:
    """It is taken where nothing is owed; then nothing is, until the rate has made up for it."""
    limit = RateLimit(2, 4)
    busy_until = limit.take_many(0.0, 10.0, 10)

    assert 15.0 == busy_until
    assert [3.5, 5.0, 5.0] == [limit.wait(busy_until, 10.0, count) for count in (1, 4, 10)]
    assert limit.take_many(busy_until, 14.9, 10) is None
    assert 20.0 == limit.take_many(busy_until, 15.0, 10)


def test_one_at_once_is_the_same() -> None:
    """Whoever takes one by one is limited alike, and can be told what is left."""
    limit = RateLimit(3, 5)
    one = many = 0.0
    for now in (7.0, 7.0, 7.0, 7.0, 7.0, 7.4, 7.4, 7.7, 9.0):
        left = limit.remaining(many, now)
        after = limit.take(one, now)
        assert after == limit.take_many(many, now, 1)
        assert (after is not None) == (left > 0)
        if after is not None:
            one = many = after


def test_unlimited_at_once() -> None:
    """Without a rate everything passes, and the burst is always there."""
    limit = RateLimit(-1, 3)

    assert limit.take_many(0.0, 5.0, 1000) is not None
    assert (0.0, 3) == (limit.wait(0.0, 5.0, 1000), limit.remaining(0.0, 5.0))


@pytest.mark.parametrize(
    ("rate", "nodes", "burst"), [(10, 1, 10), (10, 3, 3), (10, 20, 1), (0.5, 1, 1)]
)
def test_shares(rate: float, nodes: int, burst: int) -> None:
    """A node allows its part: whole events of a second at once, and at least one."""
    limit = share(rate, nodes)
    now = busy_until = 100.0
    for _ in range(burst):
        after = limit.take(busy_until, now)
        assert after is not None
        busy_until = after

    assert burst == limit.burst
    assert limit.take(busy_until, now) is None
    assert nodes / rate == pytest.approx(limit.wait(busy_until, now, 1))
