"""What every adapter of records is: the interface, its value types and its errors.

RecordsError                   the store refused, for want of memory or permission
├── RecordsUnavailableError    the store is away, or did not confirm in time
└── RecordMismatchError        the record is not at the revision that was named
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CONFIRM_TIMEOUT = 0.5
"""Seconds that a store has to answer: callers of the broker wait meanwhile."""

MAX_TTL = 9999
"""Seconds that a record may live."""


class RecordsError(Exception):
    """The store did not do what it was asked."""


class RecordsUnavailableError(RecordsError):
    """The store is away or did not answer in time: the write may or may not have happened."""


class RecordMismatchError(RecordsError):
    """The record is at another revision than the writer named: nothing was written."""


@dataclass(frozen=True, slots=True)
class Record:
    """One key as it stands."""

    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """One key as it is to be, if it still is at `revision`.

    Raises:
        ValueError: It removes whatever is there: who removes a record has to know which.
    """

    key: str
    """Tokens between dots, each of `[A-Za-z0-9_=-]`."""
    value: bytes | None
    """`None` where it is to be gone."""
    ttl: int
    """Seconds for which it is there; of no meaning where it is to be gone."""
    revision: int | None
    """The one that the key must have; 0 where there must be no record, `None` for any or none."""

    def __post_init__(self) -> None:
        if self.value is None and self.revision is None:
            raise ValueError(f"{self.key} is to be removed, and at no revision")


class Records(Protocol):
    """One process's view of a bucket. Not thread-safe: it belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether the store is reachable as far as is known."""

    async def start(self) -> None:
        """Connect, or begin trying to.

        Returns when the first attempt has succeeded or failed; after a failure the adapter keeps
        trying in the background and `connected` is false.

        Raises:
            RecordsError: The configuration can never work; the message says what to change.
        """

    async def close(self) -> None:
        """Disconnect. Idempotent."""

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write records, each key at most once, and wait for the store to confirm.

        Returns one item per write: the new revision (0 of what is gone), or why there is none.
        Takes `CONFIRM_TIMEOUT` at the most; while disconnected, no time at all.
        """

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read records; `None` where there is none.

        In a cluster of servers, a record may be found as it was a moment ago: only a write says for
        certain how a key stands.

        Raises:
            RecordsError: The store is away, did not answer in time, or refused.
        """
