"""How long the worker takes for a request, by what it has just done."""

from collections.abc import Iterable

_WEIGHT = 0.1
"""How much one request counts in the average; the first few count alike."""

_GUESS = 12
"""As long as nothing is known, so many requests, one after the other, are taken to last as long as
a caller waits: 0.25 s each with 3 s, which is slow for a worker."""

_INSTANT = 1e-6


class Pace:
    """Learns from requests that were answered, and from those that take longer than usual."""

    def __init__(self, connections: int, longest: float) -> None:
        """Expect of `connections` at a time; `longest` is how long anybody waits, in seconds."""
        self._connections = connections
        self._longest = longest
        self._count = 0
        self.average = longest / _GUESS
        """Seconds of one request, of late."""

    def took(self, seconds: float) -> None:
        """Learn how long a request took."""
        self._count += 1
        weight = max(_WEIGHT, 1 / self._count)
        # Beyond what anybody waits for, longer makes no difference.
        self.average += weight * (min(seconds, self._longest) - self.average)

    def expected(self, ahead: int, under_way: Iterable[float]) -> float:
        """Tell in how many seconds a request is answered that has `ahead` others before it.

        Args:
            ahead: Requests that wait before it.
            under_way: For how long each request has been with the worker that is there. One that
                takes longer than usual is expected to take as long again, and so to hold up those
                who wait: by as much as its connection is of all.
        """
        usual = max(self.average, _INSTANT)
        speeds = [1 / max(usual, seconds) for seconds in under_way]
        idle = self._connections - len(speeds)
        speed = sum(speeds) + idle / usual
        return (self._connections + ahead + 1) / speed
