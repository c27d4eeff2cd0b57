"""Rate limits that cost one number per client.

The generic cell rate algorithm: a client's only state is the time at which its bucket would be
empty again. Time is passed in, in seconds of any monotonic clock.
"""

_ROUNDING = 1e-6
"""Seconds: more than sums of intervals lose beside the clock of a machine that is up for years."""


class RateLimit:
    """So many a second, and a burst at once. Shared by all clients that it applies to."""

    __slots__ = ("_interval", "_tolerance")

    def __init__(self, rate: float, burst: int) -> None:
        """Allow `rate` a second (negative: any number) and up to `burst` at once."""
        if rate == 0 or burst < 1:
            raise ValueError("a rate limit needs a rate other than 0 and a burst of 1 or more")
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
