import asyncio

from pogo.edge.sweeper import Sweeper


class _Item:
    """Notes when it was swept, and asks to be swept again as often as told."""

    def __init__(self, again: int = 0, every: float = 0.0) -> None:
        self.sweep_at = 0
        self.swept: list[float] = []
        self._again = again
        self._every = every
        self.done = asyncio.Event()

    def sweep(self, now: float) -> float | None:
        self.swept.append(now)
        if len(self.swept) <= self._again:
            return now + self._every
        self.done.set()
        return None


async def test_items_are_swept_once_due() -> None:
    """Not before their time, and within two seconds of it; again if they ask for it."""
    loop = asyncio.get_running_loop()
    sweeper = Sweeper(loop)
    sweeper.start()
    start = loop.time()
    soon, again, cancelled = _Item(), _Item(again=1, every=0.5), _Item()
    sweeper.schedule(soon, start + 1.2)
    sweeper.schedule(again, start)
    sweeper.schedule(cancelled, start)
    sweeper.cancel(cancelled)
    async with asyncio.timeout(8):
        await soon.done.wait()
        await again.done.wait()
    sweeper.stop()

    assert start + 1.2 <= soon.swept[0] < start + 3.5
    assert 2 == len(again.swept)
    assert again.swept[1] - again.swept[0] >= 0.5
    assert [] == cancelled.swept


async def test_rescheduling_replaces() -> None:
    """An item waits in one bucket only."""
    loop = asyncio.get_running_loop()
    sweeper = Sweeper(loop)
    sweeper.start()
    item, last = _Item(), _Item()
    sweeper.schedule(item, loop.time())
    sweeper.schedule(item, loop.time() + 100)
    sweeper.schedule(last, loop.time() + 1)
    async with asyncio.timeout(8):
        await last.done.wait()
    sweeper.stop()

    assert [] == item.swept


async def test_many_are_swept_over_several_turns() -> None:
    """A full bucket does not hold the loop; what is cancelled meanwhile is left alone."""
    loop = asyncio.get_running_loop()
    sweeper = Sweeper(loop)
    sweeper.start()
    items = [_Item() for _ in range(2500)]
    for item in items:
        sweeper.schedule(item, loop.time())
    async with asyncio.timeout(8):
        for item in items:
            await item.done.wait()
    sweeper.stop()

    assert {1} == {len(item.swept) for item in items}


async def test_one_that_fails_does_not_stop_the_rest() -> None:
    """The failure is the loop's exception handler's; the others are swept."""
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    sweeper = Sweeper(loop)
    sweeper.start()
    items = [_Item() for _ in range(10)]
    failing = _Failing()
    for item in (*items[:5], failing, *items[5:]):
        sweeper.schedule(item, loop.time())
    async with asyncio.timeout(8):
        for item in items:
            await item.done.wait()
    sweeper.stop()

    assert [ZeroDivisionError] == [type(failure) for failure in failures]


class _Failing(_Item):
    """Fails when it is swept."""

    def sweep(self, now: float) -> float | None:
        return now / 0
