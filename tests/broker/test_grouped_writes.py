import asyncio
from collections.abc import Sequence

import pytest

from pogo.broker.grouped_writes import GroupedWrites
from pogo.records import Record, RecordMismatchError, RecordsError, Write
from pogo.records.memory import MemoryRecords


class _Counting(MemoryRecords):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__(max_bytes=1_000_000)
        self.sizes: list[int] = []

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write."""
        self.sizes.append(len(writes))
        return await super().write(writes)


class _Broken(MemoryRecords):
    """Fails as no store should."""

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Fail."""
        raise RuntimeError(f"{len(writes)} writes")


def _write(key: str, revision: int = 0) -> Write:
    return Write(key, b"done", 60, revision)


async def test_one_write_for_several_callers() -> None:
    """Each gets the results of its own writes, in their order."""
    records = _Counting()
    grouped = GroupedWrites(records)
    first, second = await asyncio.gather(
        grouped.write([_write("a"), _write("b", 7)]), grouped.write([_write("c")])
    )

    assert [3] == records.sizes
    assert isinstance(first[0], int)
    assert isinstance(first[1], RecordMismatchError)
    assert [second[0]] == [record.revision for record in await _found(records, "c")]


async def test_later_callers_have_a_write_of_their_own() -> None:
    """What was gathered is written; what comes after begins anew."""
    records = _Counting()
    grouped = GroupedWrites(records)
    await grouped.write([_write("a")])
    await grouped.write([_write("b")])

    assert [1, 1] == records.sizes


async def test_a_caller_who_gives_up() -> None:
    """Its writes are made all the same, and the others get their results."""
    records = _Counting()
    grouped = GroupedWrites(records)
    leaving = asyncio.create_task(grouped.write([_write("a")]))
    staying = asyncio.create_task(grouped.write([_write("b")]))
    await asyncio.sleep(0)
    leaving.cancel()

    assert [await staying] == [[record.revision for record in await _found(records, "b")]]
    assert 1 == len(await _found(records, "a"))


async def test_a_failure_is_everybodys() -> None:
    """No caller waits for ever for a store that failed."""
    grouped = GroupedWrites(_Broken(max_bytes=1_000_000))
    results = await asyncio.gather(
        grouped.write([_write("a")]), grouped.write([_write("b")]), return_exceptions=True
    )

    assert ["2 writes", "2 writes"] == [str(result) for result in results]
    with pytest.raises(RuntimeError):
        await grouped.write([_write("c")])


async def _found(records: MemoryRecords, key: str) -> list[Record]:
    return [record for record in await records.get([key]) if record is not None]
