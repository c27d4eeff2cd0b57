"""The circuit breaker: a worker that fails again and again is left alone for a while."""

import enum
from collections.abc import Callable


class Circuit(enum.Enum):
    """Whether requests reach the worker."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class CircuitBreaker:
    """Opens after so many failures in a row; after a while one request may try the worker again.

    Times are seconds of any one monotonic clock.
    """

    def __init__(
        self, failures: int, wait: float, *, changed: Callable[[Circuit], None] = lambda _: None
    ) -> None:
        """Open after `failures`, for `wait` seconds; `changed` is told of every new state."""
        self._limit = failures
        self._wait = wait
        self._changed = changed
        self._failures = 0
        self._open_until = 0.0
        self.state = Circuit.CLOSED

    def admit(self, now: float) -> float:
        """Let a request through (0), or tell how many seconds it is to wait.

        Every request that was let through owes a `succeeded`, `failed` or `abandoned`.
        """
        if self.state is Circuit.CLOSED:
            return 0.0
        if self.state is Circuit.OPEN and now >= self._open_until:
            self._become(Circuit.PROBING)
            return 0.0
        # The probe's fate decides, soon; nobody else is to wait for it.
        return max(self._open_until - now, 1.0)

    def succeeded(self) -> None:
        """Note that the worker answered."""
        self._failures = 0
        self._become(Circuit.CLOSED)

    def failed(self, now: float) -> None:
        """Note that it did not."""
        self._failures += 1
        if self.state is Circuit.PROBING or (
            self.state is Circuit.CLOSED and self._failures >= self._limit
        ):
            self._open_until = now + self._wait
            self._become(Circuit.OPEN)

    def abandoned(self, now: float) -> None:
        """Note that a request ended without its having been tried: another one may probe."""
        if self.state is Circuit.PROBING:
            self._open_until = now
            self._become(Circuit.OPEN)

    def _become(self, state: Circuit) -> None:
        if state is not self.state:
            self.state = state
            self._changed(state)
