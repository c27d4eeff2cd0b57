"""The webhook store of one process: the reference for the others, and all that `pogo serve` needs.

What it holds is lost with the process.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pogo.webhooks.interface import (
    DEDUPLICATION,
    DeposedError,
    Item,
    Lead,
    Queue,
    QueueFullError,
    Stored,
    WebhookStore,
    WebhookStoreError,
    check_commit,
    too_large,
)

QUEUE_SIZE = 100_000
QUEUE_BYTES = 256 * 1024 * 1024

EVENT_OVERHEAD = 200
"""Bytes that an event takes beside its body."""

MAX_IDS = 200_000
"""Ids that are remembered to tell repeats: the oldest is forgotten for one more."""


@dataclass(frozen=True, slots=True)
class _MemoryLead:
    app_id: str
    generation: int


class MemoryWebhookStore:
    """Queues and ledgers in dictionaries, shared by everything in the process.

    Ledgers are as large as what they tell of: the channels and members that there are.

    Args:
        queue_size: Events that each queue may hold. More are refused.
        queue_bytes: Memory that all events may take together. More are refused.
        clock: Tells the time, in seconds.
    """

    connected = True

    def __init__(
        self,
        queue_size: int = QUEUE_SIZE,
        queue_bytes: int = QUEUE_BYTES,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._clock = clock
        self._listeners: list[Callable[[Queue], None]] = []
        self._queues: dict[Queue, deque[Stored]] = {}
        self._bytes = 0
        self._sequence = 0
        # When each id came, in that order.
        self._ids: dict[tuple[Queue, str], float] = {}
        self._ledgers: dict[str, dict[str, bytes]] = {}
        self._generations: dict[str, int] = {}

    async def start(self) -> None:
        """Begin; there is nothing to connect to."""

    async def close(self) -> None:
        """Forget everything."""
        self._queues.clear()
        self._ids.clear()
        self._ledgers.clear()
        self._bytes = 0

    def listen(self, listener: Callable[[Queue], None]) -> None:
        """Call `listener` when something was stored in a queue."""
        self._listeners.append(listener)

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store events."""
        self._forget_ids()
        outcomes = [self._enqueue(item) for item in items]
        self._tell(
            item.queue for item, outcome in zip(items, outcomes, strict=True) if outcome is None
        )
        return outcomes

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Return the oldest events behind a place."""
        behind = (stored for stored in self._queues.get(queue, ()) if stored.sequence > after)
        return list(itertools.islice(behind, limit))

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove all events up to a place."""
        waiting = self._queues.get(queue)
        if waiting is None:
            return
        while waiting and waiting[0].sequence <= up_to:
            self._bytes -= _size(waiting.popleft().body)
        if not waiting:
            del self._queues[queue]

    async def size(self, queue: Queue) -> int:
        """Count the events of a queue."""
        return len(self._queues.get(queue, ()))

    async def lead(self, app_id: str) -> tuple[Lead, dict[str, bytes]]:
        """Take the lead of an app."""
        generation = self._generations.get(app_id, 0) + 1
        self._generations[app_id] = generation
        return _MemoryLead(app_id, generation), dict(self._ledgers.get(app_id, {}))

    async def commit(
        self, lead: Lead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Write the ledger and store events."""
        assert isinstance(lead, _MemoryLead)
        check_commit(lead.app_id, changes, items)
        if self._generations[lead.app_id] != lead.generation:
            raise DeposedError(f"{lead.app_id} is led by somebody else by now")
        self._forget_ids()
        new = self._new(items)
        self._check_room(new)
        for item in new:
            self._store(item)
        ledger = self._ledgers.setdefault(lead.app_id, {})
        for key, value in changes.items():
            if value is None:
                ledger.pop(key, None)
            else:
                ledger[key] = value
        self._tell(item.queue for item in new)

    def _new(self, items: Sequence[Item]) -> list[Item]:
        """Return those that did not come before, each once."""
        first: dict[tuple[Queue, str], Item] = {}
        for item in items:
            if self._is_new(item):
                first.setdefault(_identity(item), item)
        return list(first.values())

    def _check_room(self, items: Sequence[Item]) -> None:
        """See that all events have room.

        Raises:
            QueueFullError: They have not.
        """
        size = sum(_size(item.body) for item in items)
        if self._bytes + size > self._queue_bytes:
            raise QueueFullError(f"all queues together have {self._queue_bytes} bytes already")
        counts: dict[Queue, int] = {}
        for item in items:
            counts[item.queue] = counts.get(item.queue, 0) + 1
        for queue, count in counts.items():
            if len(self._queues.get(queue, ())) + count > self._queue_size:
                raise QueueFullError(f"{queue.endpoint} has {self._queue_size} events already")

    def _enqueue(self, item: Item) -> WebhookStoreError | None:
        if not self._is_new(item):
            return None
        refusal = too_large(item)
        if refusal is not None:
            return refusal
        try:
            self._check_room([item])
        except QueueFullError as error:
            return error
        self._store(item)
        return None

    def _store(self, item: Item) -> None:
        self._sequence += 1
        self._queues.setdefault(item.queue, deque()).append(Stored(self._sequence, item.body))
        self._bytes += _size(item.body)
        self._ids[_identity(item)] = self._clock()

    def _is_new(self, item: Item) -> bool:
        return _identity(item) not in self._ids

    def _forget_ids(self) -> None:
        """Forget the ids that came long ago, or that are too many."""
        since = self._clock() - DEDUPLICATION
        while self._ids:
            identity, came = next(iter(self._ids.items()))
            if came > since and len(self._ids) <= MAX_IDS:
                break
            del self._ids[identity]

    def _tell(self, queues: Iterable[Queue]) -> None:
        for queue in dict.fromkeys(queues):
            for listener in self._listeners:
                listener(queue)


def _identity(item: Item) -> tuple[Queue, str]:
    return item.queue, item.id


def _size(body: bytes) -> int:
    return EVENT_OVERHEAD + len(body)


_: type[WebhookStore] = MemoryWebhookStore
