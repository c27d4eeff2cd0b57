"""Turns on a few connections: who waits is served in order, or sent away."""

import asyncio
from collections.abc import Callable

from pogo.authsvc.errors import AuthError, ShedError


class Turns:
    """So many have a turn at a time. It belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self.free = count
        """Turns that nobody has."""
        # In order, with the time at which each gives up.
        self._waiting: dict[asyncio.Future[None], float] = {}

    def __len__(self) -> int:
        """Count those who wait."""
        return len(self._waiting)

    @property
    def last_deadline(self) -> float:
        """When the last of those who wait gives up; there has to be one."""
        return self._waiting[next(reversed(self._waiting))]

    async def take(self, deadline: float) -> None:
        """Wait for a turn, which is to be given back.

        Raises:
            ShedError: None was free in time.
            AuthError: What the waiting were sent away with.
        """
        if self.free:
            self.free -= 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting[turn] = deadline
        timer = loop.call_at(deadline, _refuse, turn, ShedError(1.0))
        try:
            await turn
        except asyncio.CancelledError:
            # It may have had its turn already, without having come to know.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()
            raise
        finally:
            timer.cancel()
            self._waiting.pop(turn, None)

    def give_back(self, soonest: float = 0.0) -> None:
        """Give a turn to the next; who gives up before `soonest` has no use for it any more."""
        while self._waiting:
            turn = next(iter(self._waiting))
            deadline = self._waiting.pop(turn)
            if turn.done():
                continue
            if deadline < soonest:
                turn.set_exception(ShedError(1.0))
                continue
            turn.set_result(None)
            return
        self.free += 1

    def thin_out(self, is_hopeless: Callable[[int, float], bool]) -> None:
        """Send away those of whom it is said, by their place in the queue and their deadline."""
        place = 0
        for turn, deadline in list(self._waiting.items()):
            if turn.done():
                continue
            if is_hopeless(place, deadline):
                del self._waiting[turn]
                turn.set_exception(ShedError(1.0))
            else:
                place += 1

    def send_away(self, why: Callable[[], AuthError]) -> None:
        """Send away all who wait."""
        waiting, self._waiting = self._waiting, {}
        for turn in waiting:
            _refuse(turn, why())


def _refuse(turn: "asyncio.Future[None]", why: AuthError) -> None:
    if not turn.done():
        turn.set_exception(why)
