"""Records that are started, and what tests write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

from pogo.records import Record, Records, RecordsError, Write

KEY = "app.message"
TTL = 60

_Records = TypeVar("_Records", bound=Records)


@contextlib.asynccontextmanager
async def opened(records: _Records) -> AsyncIterator[_Records]:
    """Start records, and close them in the end."""
    await records.start()
    try:
        yield records
    finally:
        await records.close()


def put(value: bytes, revision: int | None = 0, *, key: str = KEY, ttl: int = TTL) -> Write:
    """Write a record; a new one unless a revision is given, or `None` for whatever is there."""
    return Write(key, value, ttl, revision)


def removal(revision: int, *, key: str = KEY) -> Write:
    """Remove a record."""
    return Write(key, None, 0, revision)


async def outcome(records: Records, write: Write) -> int | RecordsError:
    """Write one record."""
    (result,) = await records.write([write])
    return result


async def written(records: Records, write: Write) -> int:
    """Write one record, and return its revision."""
    result = await outcome(records, write)
    if isinstance(result, int):
        return result
    raise result


async def found(records: Records, key: str = KEY) -> Record | None:
    """Read one record."""
    (record,) = await records.get([key])
    return record


async def until_connected(records: Records, within: float = 5.0) -> None:
    """Wait until the store is reachable."""
    async with asyncio.timeout(within):
        while not records.connected:  # noqa: ASYNC110 (not every adapter tells)
            await asyncio.sleep(0.005)


async def until_gone(records: Records, key: str = KEY, within: float = 5.0) -> None:
    """Wait until a record is there no more."""
    async with asyncio.timeout(within):
        while await found(records, key) is not None:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
