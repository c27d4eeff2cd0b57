import asyncio

from pogo.cluster.settlement import Settlement

PATIENCE = 0.05


class Case:
    """A settlement that tells when its patience is at an end."""

    def __init__(self, *edges: str) -> None:
        """Have been settled in epoch 1 with some edges, and begin to wait."""
        self.ended = asyncio.Event()
        self.settlement = Settlement(PATIENCE, self.ended.set)
        self.settlement.settle("1", set())
        self.settlement.unsettle(set(edges))

    async def at_the_end(self) -> None:
        """Wait until the patience is at its end."""
        async with asyncio.timeout(5.0):
            await self.ended.wait()


async def test_the_first_time() -> None:
    """Who has never seen the cluster waits for nobody."""
    settlement = Settlement(PATIENCE, asyncio.Event().set)

    assert not settlement.is_settled
    assert settlement.settle("1", set())
    assert settlement.is_settled


async def test_the_same_epoch() -> None:
    """Nobody is waited for: what is gone has left."""
    case = Case("a")

    assert not case.settlement.is_settled
    assert case.settlement.settle("1", set())


async def test_taken_for_dead_in_an_outage_that_others_shared() -> None:
    """They may be coming back, too: whoever was there before is waited for, this once."""
    case = Case("a")
    case.settlement.taken_for_dead()

    assert not case.settlement.settle("1", set())
    assert case.settlement.settle("1", {"a"})
    case.settlement.unsettle({"a"})
    assert case.settlement.settle("1", set())


async def test_a_new_epoch_with_everyone() -> None:
    """As soon as all edges known before are back, it is settled; others do not matter."""
    case = Case("a", "b")

    assert case.settlement.is_new("2")
    assert not case.settlement.settle("2", {"a"})
    assert not case.settlement.settle("2", {"a", "c"})
    assert case.settlement.settle("2", {"a", "b"})
    assert not case.settlement.is_new("2")


async def test_a_new_epoch_without_someone() -> None:
    """Whoever does not come back is given up, once."""
    case = Case("a")
    loop = asyncio.get_running_loop()
    started = loop.time()

    assert not case.settlement.settle("2", set())
    await case.at_the_end()
    assert loop.time() - started > PATIENCE * 0.9
    assert not case.settlement.is_settled
    assert case.settlement.settle("2", set())


async def test_patience_does_not_begin_again() -> None:
    """Trying again does not prolong it."""
    case = Case("a")
    case.settlement.settle("2", set())
    async with asyncio.timeout(5.0):
        while not case.ended.is_set():
            case.settlement.settle("2", set())
            await asyncio.sleep(0)

    assert case.settlement.settle("2", set())


async def test_lost_again_while_waiting() -> None:
    """The same edges are waited for, with the whole patience."""
    case = Case("a", "b")
    case.settlement.settle("2", set())
    await case.at_the_end()
    case.settlement.unsettle({"c"})

    assert not case.settlement.settle("3", {"a", "c"})
    assert case.settlement.settle("3", {"a", "b"})


async def test_lost_after_it_was_settled() -> None:
    """Those that were ready last are waited for, and no others."""
    case = Case("a")
    case.settlement.settle("2", {"a", "b"})
    case.settlement.unsettle({"b"})

    assert not case.settlement.settle("3", {"a"})
    assert case.settlement.settle("3", {"b"})


async def test_stop() -> None:
    """Nothing is called any more."""
    case = Case("a")
    case.settlement.settle("2", set())
    case.settlement.stop()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(PATIENCE * 2, later.set)
    await later.wait()

    assert not case.ended.is_set()
