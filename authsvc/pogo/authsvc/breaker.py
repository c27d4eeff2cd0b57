"""The circuit breaker: a worker that fails again and again is left alone for a while."""

import enum
from collections.abc import Callable

from pogo.authsvc.errors import CircuitOpenError

_SOON = 1.0
"""Seconds to wait where a probe is under way, whose fate decides."""


class Circuit(enum.Enum):
    """Whether requests reach the worker."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class CircuitBreaker:
    """Opens after so many failures in a row; after a while one request may try the worker again.

    Every change of state begins a new term. What becomes of a request counts in the term in which
    it was let through, and no longer: the slow failure of one that was there before is no news of
    the worker that a probe tries. Times are seconds of any one monotonic clock.
    """

    def __init__(
        self, failures: int, wait: float, *, changed: Callable[[Circuit], None] = lambda _: None
    ) -> None:
        """Open after `failures`, for `wait` seconds; `changed` is told of opening and closing."""
        self._limit = failures
        self._wait = wait
        self._changed = changed
        self._failures = 0
        self._open_until = 0.0
        self._term = 0
        self.state = Circuit.CLOSED

    def admit(self, now: float) -> int:
        """Let a request through, and return its term.

        It owes one of `succeeded`, `failed` and `abandoned`.

        Raises:
            CircuitOpenError: The worker is left alone.
        """
        if self.state is Circuit.OPEN and now >= self._open_until:
            self._become(Circuit.PROBING)
        elif self.state is not Circuit.CLOSED:
            raise CircuitOpenError(max(self._open_until - now, _SOON))
        return self._term

    def succeeded(self, term: int) -> None:
        """Note that the worker answered."""
        if term != self._term:
            return
        self._failures = 0
        if self.state is Circuit.PROBING:
            self._become(Circuit.CLOSED)
            self._changed(Circuit.CLOSED)

    def failed(self, term: int, now: float) -> None:
        """Note that it did not."""
        if term != self._term:
            return
        self._failures += 1
        if self.state is Circuit.PROBING or self._failures >= self._limit:
            self._open_until = now + self._wait
            self._become(Circuit.OPEN)
            self._changed(Circuit.OPEN)

    def abandoned(self, term: int, now: float) -> None:
        """Note that a request ended without a verdict: if it was the probe, another one may."""
        if term == self._term and self.state is Circuit.PROBING:
            self._open_until = now
            self._become(Circuit.OPEN)

    def _become(self, state: Circuit) -> None:
        self.state = state
        self._term += 1
