"""Whether what a process sees is the cluster as it is, so that it may be told to others."""

import asyncio
from collections.abc import Callable


class Settlement:
    """Decides when a process that lost sight of the cluster sees it whole again.

    In the same epoch of the registry that is as soon as its own entries are there: everybody
    else's never left. After a registry that began anew, or where this node was taken for dead and
    others that shared its outage may have been too, the edges known before are waited for,
    `patience` seconds at the most; whoever has not come back by then is gone.

    Args:
        patience: Seconds.
        try_again: Called when the patience is at its end.
    """

    def __init__(self, patience: float, try_again: Callable[[], None]) -> None:
        self._patience = patience
        self._try_again = try_again
        self.is_settled = False
        # The epoch in which it last was, and the edges that were ready then.
        self._epoch = ""
        self._expected: set[str] = set()
        self._was_taken_for_dead = False
        self._timer: asyncio.TimerHandle | None = None
        self._has_waited = False

    def is_new(self, epoch: str) -> bool:
        """Whether the registry began anew since this was last settled."""
        return epoch != self._epoch

    def unsettle(self, edges: set[str]) -> None:
        """Begin to wait; `edges` are those that are ready at the moment."""
        self.stop()
        if self.is_settled:
            self.is_settled = False
            self._expected = edges

    def taken_for_dead(self) -> None:
        """Take that this node's key was removed by another."""
        self._was_taken_for_dead = True

    def settle(self, epoch: str, edges: set[str]) -> bool:
        """Take that the own entries are there; returns whether that settles it."""
        missing = self._expected - edges
        in_doubt = self.is_new(epoch) or self._was_taken_for_dead
        if in_doubt and missing and not self._has_waited:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._patience, self._waited)
            return False
        self.stop()
        self._epoch = epoch
        self._was_taken_for_dead = False
        self.is_settled = True
        return True

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._has_waited = False

    def _waited(self) -> None:
        self._timer = None
        self._has_waited = True
        self._try_again()
