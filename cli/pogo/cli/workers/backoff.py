"""How long a worker that died waits for its successor."""

import random

FIRST = 1.0
"""Seconds before the second attempt in a row; the first is made at once."""

LONGEST = 30.0
"""Seconds at which the pauses stop growing."""

STEADY = 30.0
"""Seconds after which a worker that works has nothing to do with failures before it."""


class Backoff:
    """Pauses that double; each is cut at random by up to a half, to spread the workers."""

    def __init__(self) -> None:
        self._failures = 0

    def failed(self, lived: float = 0.0) -> float:
        """Note that a worker died after so many seconds; returns those to wait for the next."""
        self._failures = 1 if lived >= STEADY else self._failures + 1
        if self._failures == 1:
            return 0.0
        # The exponent is bounded, since failures are not.
        pause = min(LONGEST, FIRST * 2.0 ** min(self._failures - 2, 16))
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 (spreads workers)
