"""What only the records in memory have: a bound of their own."""

from pogo.records import RecordMismatchError, RecordsError
from pogo.records.memory import RECORD_OVERHEAD, MemoryRecords
from tests.records.helpers import KEY, found, outcome, put, removal, written

SIZE = RECORD_OVERHEAD + len(KEY) + 1


class _Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_is_full_refuses_what_is_new() -> None:
    """A record more than fits is refused, and nothing is dropped for it."""
    records = MemoryRecords(2 * SIZE)
    first = await written(records, put(b"1"))
    second = await written(records, put(b"2", key="app.anothe1"))
    refused = await outcome(records, put(b"3", key="app.anothe2"))

    assert type(refused) is RecordsError
    assert 2 == records.count

    await written(records, put(b"4", first))
    larger = await outcome(records, put(b"55", second, key="app.anothe1"))
    await written(records, removal(second, key="app.anothe1"))

    assert type(larger) is RecordsError
    assert await written(records, put(b"3", key="app.anothe2")) > second


async def test_what_has_ended_makes_room() -> None:
    """Records of all lifetimes go when theirs is over, and no record before."""
    clock = _Clock()
    records = MemoryRecords(3 * SIZE, clock=clock)
    first = await written(records, put(b"1", ttl=10))
    await written(records, put(b"2", key="app.anothe1", ttl=300))
    await written(records, put(b"3", first, ttl=20))
    clock.now = 19.9
    before = records.count
    clock.now = 20.0

    assert 2 == before
    assert await found(records) is None
    assert 1 == records.count
    assert isinstance(await outcome(records, put(b"4", key="app.anothe1")), RecordMismatchError)

    clock.now = 300.0

    assert await written(records, put(b"4", key="app.anothe1")) > 0
    assert 1 == records.count


async def test_closing_forgets_everything() -> None:
    """Nothing is left, and nothing counts any more."""
    records = MemoryRecords(SIZE)
    await written(records, put(b"1"))
    await records.close()

    assert 0 == records.count
    assert await written(records, put(b"1")) > 0
