"""For how long events wait for an endpoint that fails.

An event's clock begins with the first attempt that failed while it was in the queue, whether in
that very request or behind it: nothing overtakes the head, so all of them were tried with it. It is
enough to note how many events there were at each failure, and they need not be read for it.
"""

from dataclasses import dataclass

EXACTNESS = 0.01
"""Failures that come within this part of the limit are noted as one, so that no more than a hundred
notes are kept: an event may be kept for so much longer, and never for less."""


@dataclass(slots=True)
class _Note:
    at: float
    events: int
    """How many were in the queue by then, counted from its head of today."""


class Patience:
    """The clocks of one queue.

    Args:
        limit: Seconds for which an event is tried.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._notes: list[_Note] = []
        self._head: int | None = None

    def failed(self, now: float, head: int, events: int) -> None:
        """Note that an attempt failed.

        Args:
            now: The time, in seconds.
            head: The place of the first event. When it is another one than before, somebody else
                has removed events, nobody knows how many, and all clocks begin anew.
            events: How many events there are.
        """
        if self._head not in (None, head):
            self._notes.clear()
        self._head = head
        if not self._notes:
            self._notes.append(_Note(now, events))
            return
        last = self._notes[-1]
        if events <= last.events:
            return
        if len(self._notes) > 1 and now - self._notes[-2].at < self._limit * EXACTNESS:
            # The later time counts for both.
            last.at, last.events = now, events
        else:
            self._notes.append(_Note(now, events))

    def expired(self, now: float) -> int:
        """Count the events, from the head, that have been tried for long enough."""
        return max((note.events for note in self._notes if now - note.at >= self._limit), default=0)

    def removed(self, events: int) -> None:
        """Note that so many events were taken from the head."""
        for note in self._notes:
            note.events -= events
        self._notes = [note for note in self._notes if note.events > 0]
        self._head = None

    def succeeded(self) -> None:
        """Begin all clocks anew: the endpoint works, and what waits may still be delivered."""
        self._notes.clear()
        self._head = None
