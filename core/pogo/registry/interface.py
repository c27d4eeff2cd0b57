"""What every registry adapter is: the interface, its value types and its errors.

RegistryError
├── RegistryUnavailableError   the store is away, or did not confirm in time
└── RevisionMismatchError      a compare-and-set found another revision
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

StatusListener = Callable[[bool, str], None]
"""Takes whether the store is reachable, and why not (empty when it is)."""


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


@dataclass(frozen=True, slots=True)
class Write:
    """One key as it is to be: `value` is `None` where it is to be gone."""

    key: str
    value: bytes | None


class Watcher(Protocol):
    """Whoever follows a topic. Called on the event loop; must not raise and must not block."""

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all entries under the topic: at the start, and again whenever the feed was cut."""

    def changed(self, change: Change) -> None:
        """Take one change, in order. The removal of a key that never was is one, too."""


class Watch(Protocol):
    """A watcher's interest in a topic, as `watch` returned it."""

    def stop(self) -> None:
        """End it: the watcher is not called again. Idempotent."""


class Registry(Protocol):
    """One process's view of the registry. Not thread-safe: it belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether the store is reachable as far as is known, and every watcher is up to date."""

    @property
    def epoch(self) -> str:
        """Names the life of the store last connected to: one that began empty has another name.

        Empty before the first connection.
        """

    async def start(self) -> None:
        """Connect, or begin trying to.

        Returns when the first attempt has succeeded or failed; after a failure the adapter keeps
        trying in the background and `connected` is false.

        Raises:
            RegistryError: The configuration can never work; the message says what to change.
        """

    async def close(self) -> None:
        """Disconnect. Idempotent."""

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` whenever `connected` changes, on the event loop; it must not raise."""

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write entries in order, each key at most once, and wait for the store to confirm.

        Returns one item per write: the new revision, or why there is none. To remove what is not
        there is no error. Takes 1 s at the most; while disconnected, no time at all.
        """

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write (or, with `None`, remove) an entry that is still at `revision`; 0 means absent.

        Returns the new revision.

        Raises:
            RevisionMismatchError: It is not; nothing was written.
            RegistryUnavailableError: The store did not confirm.
            RegistryError: It refused, for want of memory or permission.
        """

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        """Follow every key under `topic`, its first one to three tokens.

        The snapshot has been passed on when this returns.

        Raises:
            RegistryUnavailableError: The store is away.
        """

    async def owned(self, owner: str) -> list[Entry]:
        """Return all entries that `owner` wrote, the fourth token of their keys.

        Raises:
            RegistryError: The store is away, or refused.
        """

    async def purge(self, owner: str) -> None:
        """Remove all entries of an owner that does not live any more. Nobody is told.

        Watchers know from the end of the owner's own key that its entries count no more.

        Raises:
            RegistryError: The store is away, or refused.
        """
