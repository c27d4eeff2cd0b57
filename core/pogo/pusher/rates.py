"""Rate limits that cost one number per client.

The generic cell rate algorithm: a client's only state is the time at which its bucket would be
empty again. Time is passed in, in seconds of any monotonic clock.
"""

import functools

_ROUNDING = 1e-6
"""Seconds: more than sums of intervals lose beside the clock of a machine that is up for years."""

_SHARES = 1024
"""Limits of shares that are remembered, the most recent ones: one for each rate that is set."""


class RateLimit:
    """So many a second, and a burst at once. Shared by all clients that it applies to."""

    __slots__ = ("_interval", "_tolerance", "burst")

    def __init__(self, rate: float, burst: int) -> None:
        """Allow `rate` a second (negative: any number) and up to `burst` at once."""
        if rate == 0 or burst < 1:
            raise ValueError("a rate limit needs a rate other than 0 and a burst of 1 or more")
        self.burst = burst
        self._interval = 1 / rate if rate > 0 else 0.0
        self._tolerance = (burst - 1) * self._interval + _ROUNDING

    def take(self, busy_until: float, now: float) -> float | None:
        """Take one from the bucket that is empty again at `busy_until`.

        Returns the new time at which it is empty again, or `None` where the limit is reached and
        nothing was taken. A new client begins with 0.
        """
        if self._interval == 0.0:
            return busy_until
        if busy_until - now > self._tolerance:
            return None
        return max(busy_until, now) + self._interval

    def take_many(self, busy_until: float, now: float, count: int) -> float | None:
        """Take `count` at once, or nothing, and return what `take` returns.

        More than a burst is taken from a bucket that is empty, and paid for afterwards: until then
        nothing more is taken. So whatever comes in one piece can be had, at the rate in the end.
        """
        if self.wait(busy_until, now, count) > 0.0:
            return None
        return max(busy_until, now) + count * self._interval

    def wait(self, busy_until: float, now: float, count: int) -> float:
        """Tell in how many seconds `count` could be taken at once; 0 for now."""
        allowed = max(self.burst - count, 0) * self._interval
        wait = busy_until - now - allowed
        return wait if wait > _ROUNDING else 0.0

    def remaining(self, busy_until: float, now: float) -> int:
        """Tell how many could be taken at once now."""
        if self._interval == 0.0:
            return self.burst
        used = max(busy_until - now - _ROUNDING, 0.0) / self._interval
        return max(int(self.burst - used), 0)


@functools.lru_cache(_SHARES)
def share(rate: float, nodes: int) -> RateLimit:
    """Return the limit of one of so many nodes: its part of the rate, and a second's worth at once.

    At least one at once: where there are more nodes than events a second, each of them allows
    one every few seconds.
    """
    part = rate / nodes
    return RateLimit(part, max(1, int(part)))
