"""What every adapter of the webhook store is: the interface, its value types and its errors.

The store holds two things, for every app:

- **Queues**, one for each endpoint: events that wait to be posted, in the order in which they came.
- A **ledger**: by key, what was announced last. One broker at a time leads an app; it alone writes
  the app's ledger, together with the events that follow from a change of it.

WebhookStoreError
├── StoreUnavailableError   the store is away, or did not confirm in time
├── QueueFullError          an endpoint has as many events as may wait for it
└── DeposedError            another broker leads the app by now
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

CONFIRM_TIMEOUT = 2.0
"""Seconds that a store has to answer: nobody waits for webhooks."""

DEDUPLICATION = 120.0
"""Seconds in which an event that comes again, by its id, is taken for the same one."""

MAX_AGE = 86_400.0
"""Seconds after which an event that nobody took is gone: its endpoint is not there any more."""

MAX_COMMIT_BYTES = 256 * 1024
"""Bytes of all keys, values, ids and bodies of one commit: less than a NATS message takes."""

MAX_KEY_BYTES = 1024
"""Bytes of one key of a ledger."""

MAX_EVENT_BYTES = 1000 * 1024
"""Bytes of one event: with its headers, less than a NATS message takes."""


class WebhookStoreError(Exception):
    """The store did not do what it was asked."""


class StoreUnavailableError(WebhookStoreError):
    """The store is away or did not answer in time: it may or may not have been done."""


class QueueFullError(WebhookStoreError):
    """As many events wait as may: nothing was stored."""


class DeposedError(WebhookStoreError):
    """Another broker has taken the lead of the app: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One endpoint's queue."""

    app_id: str
    endpoint: str
    """The endpoint's name in the settings."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event for one endpoint."""

    queue: Queue
    id: str
    """Names the event, for whoever has to tell repeats."""
    body: bytes
    """The event as JSON text."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in its queue."""

    sequence: int
    """Its place: later ones have greater numbers."""
    body: bytes


def check_commit(app_id: str, changes: Mapping[str, bytes | None], items: Sequence[Item]) -> None:
    """Accept a commit that is within its limits.

    Raises:
        ValueError: It is too large, or has an event of another app.
    """
    if any(item.queue.app_id != app_id for item in items):
        raise ValueError(f"a commit of {app_id} has an event of another app")
    size = sum(len(item.id.encode()) + len(item.body) for item in items)
    for key, value in changes.items():
        key_size = len(key.encode())
        if not 0 < key_size <= MAX_KEY_BYTES:
            raise ValueError(f"a key has {key_size} bytes, of {MAX_KEY_BYTES} at the most")
        size += key_size + len(value or b"")
    if size > MAX_COMMIT_BYTES:
        raise ValueError(f"a commit has {size} bytes, over {MAX_COMMIT_BYTES}")


def too_large(item: Item, limit: int = MAX_EVENT_BYTES) -> WebhookStoreError | None:
    """Say why no store takes an event, if it has more bytes than it may have."""
    size = len(item.body)
    return WebhookStoreError(f"an event has {size} bytes, over {limit}") if size > limit else None


Lead = object
"""What `lead` returned, for `commit`. It is the adapter's own."""


class WebhookStore(Protocol):
    """One process's view of the store. Not thread-safe: it belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether the store is reachable as far as is known."""

    async def start(self) -> None:
        """Connect, or begin trying to.

        Returns when the first attempt has succeeded or failed; after a failure the adapter keeps
        trying in the background and `connected` is false.

        Raises:
            WebhookStoreError: The configuration can never work; the message says what to change.
        """

    async def close(self) -> None:
        """Disconnect. Idempotent."""

    def listen(self, listener: Callable[[Queue], None]) -> None:
        """Call `listener` when something was stored in a queue, by whichever process.

        It is a hint, given at most once for each event: one may be missed, so whoever reads queues
        looks for themselves now and then. Called on the event loop; it must not raise.
        """

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store events in order, each id at most once in its queue, and wait for confirmation.

        Returns one item for each event: `None`, or why it was not stored. Takes `CONFIRM_TIMEOUT`
        at the most; while disconnected, no time at all. An id that came before counts as stored;
        what has more than `MAX_EVENT_BYTES` is never stored.
        """

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Return the oldest `limit` events behind the place `after`; 0 is the beginning.

        There may be fewer where they are large, but none only if there is none. Places never go
        back, not even when a store has lost everything and begins anew.

        Raises:
            StoreUnavailableError: The store is away, or did not answer in time.
        """

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove all events up to a place, that one included.

        Raises:
            StoreUnavailableError: The store is away, or did not answer in time.
        """

    async def size(self, queue: Queue) -> int:
        """Count the events of a queue.

        Raises:
            StoreUnavailableError: The store is away, or did not answer in time.
        """

    async def lead(self, app_id: str) -> tuple[Lead, dict[str, bytes]]:
        """Take the lead of an app; returns it, and the app's ledger as it stands.

        What an earlier leader had committed is in the ledger and its events are in the queues, even
        if it died meanwhile; whatever it tries to commit from now on is refused.

        Raises:
            StoreUnavailableError: The store is away, or did not answer in time.
        """

    async def commit(
        self, lead: Lead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Write the ledger (`None` removes a key) and store events: all of it or nothing.

        Keys are any text of up to `MAX_KEY_BYTES`. A commit has `MAX_COMMIT_BYTES` at the most. The
        events are stored at least once, and in order, even if this broker dies after the call.

        Raises:
            DeposedError: Another broker leads by now; nothing was stored.
            QueueFullError: A queue has no room for its events; nothing was stored.
            StoreUnavailableError: It may or may not have been done: take the lead anew to know.
            ValueError: It is larger than a commit may be, or has an event of another app.
        """
