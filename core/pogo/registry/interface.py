"""What every registry adapter is: the interface, its value types and its errors.

RegistryError
├── RegistryUnavailableError   the store is away, or did not confirm in time
└── RevisionMismatchError      a compare-and-set found another revision
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class RegistryError(Exception):
    """The registry did not do what it was asked."""


class RegistryUnavailableError(RegistryError):
    """The store is away or did not answer in time: the write may or may not have happened."""


class RevisionMismatchError(RegistryError):
    """The entry is not at the revision that the writer had last seen."""

    def __init__(self, key: str, expected: int, actual: int) -> None:
        super().__init__(f"{key} is at revision {actual}, not at {expected}")
        self.key = key
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it stands."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One key as a write left it: `value` is `None` where it was deleted."""

    key: str
    value: bytes | None
    revision: int


class Watcher(Protocol):
    """Whoever follows a topic. Called on the event loop; must not raise and must not block."""

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all entries under the topic: at the start, and again whenever the feed was cut."""

    def changed(self, change: Change) -> None:
        """Take one change, in order."""


class Watch(Protocol):
    """A watcher's interest in a topic, as `watch` returned it."""

    def stop(self) -> None:
        """End it: the watcher is not called again. Idempotent."""


class Registry(Protocol):
    """One process's view of the registry. Not thread-safe: it belongs to one event loop."""

    @property
    def shared(self) -> bool:
        """Whether every node of the cluster sees the same entries."""

    @property
    def connected(self) -> bool:
        """Whether the store is reachable as far as is known."""

    async def start(self) -> None:
        """Connect, or begin trying to."""

    async def close(self) -> None:
        """Disconnect. Idempotent."""

    async def put(self, key: str, value: bytes) -> int:
        """Write an entry and return its new revision.

        Raises:
            RegistryUnavailableError: The store did not confirm.
        """

    async def delete(self, key: str) -> None:
        """Remove an entry; nothing happens where there is none.

        Raises:
            RegistryUnavailableError: The store did not confirm.
        """

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write (or, with `None`, remove) an entry that is still at `revision`; 0 means absent.

        Returns the new revision.

        Raises:
            RevisionMismatchError: It is not; nothing was written.
            RegistryUnavailableError: The store did not confirm.
        """

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        """Follow every key under `topic`; the snapshot has been passed on when this returns.

        Raises:
            RegistryUnavailableError: The store is away.
        """
