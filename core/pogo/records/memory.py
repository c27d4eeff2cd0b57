"""The records of one process: the reference for the others, and all that `pogo serve` needs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pogo.records.interface import Record, RecordMismatchError, Records, RecordsError, Write

MAX_BYTES = 256 * 1024 * 1024

RECORD_OVERHEAD = 400
"""Bytes that a record takes beside its key and its value."""


@dataclass(slots=True)
class _Stored:
    record: Record
    ttl: int
    expires: float
    size: int


class MemoryRecords:
    """Records in a dictionary. It is shared by everything in the process, and by nothing else.

    Args:
        max_bytes: Memory that all records may take. More is refused.
        clock: Tells the time, in seconds.
    """

    connected = True

    def __init__(
        self, max_bytes: int = MAX_BYTES, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._stored: dict[str, _Stored] = {}
        # The keys by the lifetime of their records: each in the order in which they end.
        self._ending: dict[int, dict[str, None]] = {}
        self._bytes = 0
        self._revision = 0

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._stored)

    async def start(self) -> None:
        """Begin; there is nothing to connect to."""

    async def close(self) -> None:
        """Forget everything."""
        self._stored.clear()
        self._ending.clear()
        self._bytes = 0

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write records."""
        self._expire()
        return [self._write(write) for write in writes]

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read records."""
        self._expire()
        found = (self._stored.get(key) for key in keys)
        return [None if stored is None else stored.record for stored in found]

    def _write(self, write: Write) -> int | RecordsError:
        stored = self._stored.get(write.key)
        actual = 0 if stored is None else stored.record.revision
        if write.revision is not None and actual != write.revision:
            return RecordMismatchError(f"{write.key} is at {actual}, not at {write.revision}")
        freed = 0 if stored is None else stored.size
        size = 0 if write.value is None else RECORD_OVERHEAD + len(write.key) + len(write.value)
        if size > freed and self._bytes - freed + size > self._max_bytes:
            return RecordsError(f"the records have {self._max_bytes} bytes already")
        if stored is not None:
            self._drop(write.key, stored)
        if write.value is None:
            return 0
        self._revision += 1
        record = Record(write.value, self._revision)
        self._stored[write.key] = _Stored(record, write.ttl, self._clock() + write.ttl, size)
        self._ending.setdefault(write.ttl, {})[write.key] = None
        self._bytes += size
        return self._revision

    def _drop(self, key: str, stored: _Stored) -> None:
        del self._stored[key]
        same = self._ending[stored.ttl]
        del same[key]
        if not same:
            del self._ending[stored.ttl]
        self._bytes -= stored.size

    def _expire(self) -> None:
        """Drop what has ended."""
        now = self._clock()
        for keys in tuple(self._ending.values()):
            while keys:
                key = next(iter(keys))
                stored = self._stored[key]
                if stored.expires > now:
                    break
                self._drop(key, stored)


_: type[Records] = MemoryRecords
