"""A watcher that keeps what it is told, and can be waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from pogo.registry import Change, Entry, Registry, Write

TOPIC = "t.app.room"


_Registry = TypeVar("_Registry", bound=Registry)


@contextlib.asynccontextmanager
async def opened(registry: _Registry) -> AsyncIterator[_Registry]:
    """Start a registry, and close it in the end."""
    await registry.start()
    try:
        yield registry
    finally:
        await registry.close()


def key(item: str) -> str:
    """Name a key under `TOPIC`."""
    return f"{TOPIC}.node.{item}"


async def put(registry: Registry, name: str, value: bytes) -> int:
    """Write one entry and return its revision."""
    return await _written(registry, Write(name, value))


async def delete(registry: Registry, name: str) -> int:
    """Remove one entry and return the revision of that."""
    return await _written(registry, Write(name, None))


async def _written(registry: Registry, write: Write) -> int:
    (outcome,) = await registry.write([write])
    if isinstance(outcome, int):
        return outcome
    raise outcome


class Record:
    """A watcher: its snapshots, its changes, and the view that follows from them."""

    def __init__(self) -> None:
        self.snapshots: list[list[Entry]] = []
        self.changes: list[Change] = []
        # Value and revision of each key, as they stand.
        self.view: dict[str, tuple[bytes, int]] = {}
        self._told = asyncio.Event()

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Begin anew."""
        self.snapshots.append(list(entries))
        self.view = {entry.key: (entry.value, entry.revision) for entry in entries}
        self._told.set()

    def changed(self, change: Change) -> None:
        """Take one change."""
        self.changes.append(change)
        if change.value is None:
            self.view.pop(change.key, None)
        else:
            self.view[change.key] = (change.value, change.revision)
        self._told.set()

    async def until(self, revision: int, within: float = 5.0) -> list[Change]:
        """Wait for the change with a revision, and return all changes up to now."""
        async with asyncio.timeout(within):
            while all(change.revision < revision for change in self.changes):
                self._told.clear()
                await self._told.wait()
        return self.changes

    def keys(self) -> list[str]:
        """Return the keys that there are, sorted."""
        return sorted(self.view)


class Status:
    """A status listener that can be waited for, and knows what a watcher had at that time."""

    def __init__(self, registry: Registry, record: Record) -> None:
        self.changes: list[tuple[bool, str, int]] = []
        self._record = record
        self._told = asyncio.Event()
        registry.add_status_listener(self._take)

    async def until(self, within: float, *, connected: bool) -> tuple[str, int]:
        """Wait for the next such change; return its reason and how many snapshots there were."""
        async with asyncio.timeout(within):
            while True:
                while self.changes:
                    is_connected, reason, snapshots = self.changes.pop(0)
                    if is_connected == connected:
                        return reason, snapshots
                self._told.clear()
                await self._told.wait()

    def _take(self, connected: bool, reason: str) -> None:  # noqa: FBT001 (a StatusListener)
        self.changes.append((connected, reason, len(self._record.snapshots)))
        self._told.set()


@contextlib.asynccontextmanager
async def watched(registry: Registry, topic: str = TOPIC) -> AsyncIterator[tuple[Record, Status]]:
    """Watch a topic, and whether the store is there."""
    record = Record()
    watch = await registry.watch(topic, record)
    yield record, Status(registry, record)
    watch.stop()
