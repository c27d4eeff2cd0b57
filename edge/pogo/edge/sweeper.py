"""Everything that happens to a connection because of time, with one timer for all of them.

Connections wait in buckets of one second. A bucket that is due is swept: each connection says when
it wants to be looked at again. Nothing is rescheduled when a message comes in; the connection only
notes the time, and finds out at its next sweep that there is nothing to do.
"""

import asyncio
from typing import Protocol

_MAX_PER_TURN = 1000
"""Connections swept in one turn of the event loop: a ping costs some 10 µs."""


class Sweepable(Protocol):
    """Whatever waits for a time."""

    sweep_at: int
    """The bucket it waits in; 0 for none. Kept by the sweeper."""

    def sweep(self, now: float) -> float | None:
        """Do what is due, and tell when to be swept again, if ever."""


class Sweeper:
    """The buckets, and the timer that sweeps them. Times are those of the event loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Sweepable]] = {}
        self._timer: asyncio.Handle | None = None
        self._swept = int(loop.time())

    def start(self) -> None:
        """Begin to sweep, every second."""
        self._timer = self._loop.call_later(1.0, self._tick)

    def stop(self) -> None:
        """Sweep no more, and forget what waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()

    def schedule(self, item: Sweepable, when: float) -> None:
        """Have an item swept within the second after `when`, and not at any other time."""
        self.cancel(item)
        # Never into a bucket that has been swept already.
        bucket = max(int(when), self._swept) + 1
        item.sweep_at = bucket
        waiting = self._buckets.get(bucket)
        if waiting is None:
            self._buckets[bucket] = {item}
        else:
            waiting.add(item)

    def cancel(self, item: Sweepable) -> None:
        """Do not sweep an item any more."""
        waiting = self._buckets.get(item.sweep_at)
        if waiting is not None:
            waiting.discard(item)
        item.sweep_at = 0

    def _tick(self) -> None:
        now = self._loop.time()
        due = [bucket for bucket in self._buckets if bucket <= now]
        self._swept = max(self._swept, int(now))
        items = [item for bucket in sorted(due) for item in self._buckets.pop(bucket)]
        self._timer = self._loop.call_later(1.0, self._tick)
        self._sweep(items, 0)

    def _sweep(self, items: list[Sweepable], start: int) -> None:
        """Sweep a turn's worth of items, and leave the rest to the next turn."""
        now = self._loop.time()
        end = min(start + _MAX_PER_TURN, len(items))
        at = start
        try:
            while at < end:
                item = items[at]
                at += 1
                # Between two turns, an item may have been cancelled or scheduled anew.
                if 0 < item.sweep_at <= now:
                    item.sweep_at = 0
                    again = item.sweep(now)
                    if again is not None:
                        self.schedule(item, again)
        finally:
            # An item that fails is the loop's exception handler's; the others are still due.
            if at < len(items):
                self._loop.call_soon(self._sweep, items, at)
