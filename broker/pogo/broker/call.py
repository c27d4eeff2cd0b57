"""One caller's events, answered together."""

import asyncio

from pogo.broker.status import SUCCESS, Outcome


class Call:
    """Gathers the outcomes of the events of one call.

    One future serves a call of any size: a task or a future per event would cost more than all
    else that is done for it.
    """

    __slots__ = ("_done", "_open", "outcomes", "since")

    def __init__(self, size: int, since: float) -> None:
        # When it was handed in, by the event loop's clock.
        self.since = since
        self.outcomes: list[Outcome] = [SUCCESS] * size
        # Messages that are not answered yet; a BroadcastMulti has several for one event.
        self._open = 0
        self._done: asyncio.Future[None] | None = None

    def expect(self, messages: int) -> None:
        """Note that so many messages of this call were queued."""
        self._open += messages

    def refuse(self, index: int, outcome: Outcome) -> None:
        """Answer an event of which nothing was queued."""
        self.outcomes[index] = outcome

    def settle(self, index: int, failure: Outcome | None) -> None:
        """Answer one queued message of an event; an event's first failure is its outcome."""
        if failure is not None and self.outcomes[index] is SUCCESS:
            self.outcomes[index] = failure
        self._open -= 1
        if self._open == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def answered(self) -> list[Outcome]:
        """Wait until every message is answered, and return the outcome of each event."""
        if self._open:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        return self.outcomes
