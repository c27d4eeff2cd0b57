"""Webhook stores that are started, and what tests put into them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

from pogo.webhooks import (
    Item,
    Lead,
    Queue,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
)

APP = "app.1"
QUEUE = Queue(APP, "default")
OTHER = Queue(APP, "other.endpoint")
SHORT = 5
"""Events of one queue, where it is to be full soon."""

_Store = TypeVar("_Store", bound=WebhookStore)


@contextlib.asynccontextmanager
async def opened(store: _Store) -> AsyncIterator[_Store]:
    """Start a store, and close it in the end."""
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def item(number: int, queue: Queue = QUEUE, *, body: bytes | None = None) -> Item:
    """Make an event whose id and body are its number."""
    return Item(queue, f"id-{number}", b"%d" % number if body is None else body)


def items(count: int, queue: Queue = QUEUE, *, first: int = 0) -> list[Item]:
    """Make several events."""
    return [item(number, queue) for number in range(first, first + count)]


async def put(store: WebhookStore, events: Sequence[Item]) -> None:
    """Store events, all of them."""
    for outcome in await store.enqueue(events):
        if outcome is not None:
            raise outcome


async def outcome(store: WebhookStore, event: Item) -> WebhookStoreError | None:
    """Store one event."""
    (result,) = await store.enqueue([event])
    return result


async def bodies(store: WebhookStore, queue: Queue = QUEUE) -> list[bytes]:
    """Read all that a queue holds."""
    found: list[bytes] = []
    last = 0
    while events := await store.read(queue, last, 1000):
        found += [event.body for event in events]
        last = events[-1].sequence
    return found


def numbers(count: int, *, first: int = 0) -> list[bytes]:
    """The bodies of several events."""
    return [b"%d" % number for number in range(first, first + count)]


async def remove_first(store: WebhookStore, count: int) -> None:
    """Remove the oldest events of `QUEUE`."""
    events = await store.read(QUEUE, 0, count)
    await store.remove(QUEUE, events[-1].sequence)


async def until_available(store: WebhookStore, within: float = 10.0) -> None:
    """Wait until the store is reachable, and answers for both of its parts."""
    async with asyncio.timeout(within):
        while True:
            if store.connected:
                with contextlib.suppress(StoreUnavailableError):
                    await store.size(QUEUE)
                    return
            await asyncio.sleep(0.01)


async def until_lost(store: WebhookStore, within: float = 10.0) -> None:
    """Wait until the store is known to be away."""
    async with asyncio.timeout(within):
        while store.connected:  # noqa: ASYNC110 (not every adapter tells)
            await asyncio.sleep(0.005)


async def committed(
    store: WebhookStore,
    changes: Mapping[str, bytes | None],
    events: Sequence[Item] = (),
    app_id: str = APP,
) -> Lead:
    """Take the lead and commit once; returns the lead."""
    lead, _ = await store.lead(app_id)
    await store.commit(lead, changes, events)
    return lead


async def ledger(store: WebhookStore, app_id: str = APP) -> dict[str, bytes]:
    """Take the lead and return the ledger."""
    _, found = await store.lead(app_id)
    return found


class Hints:
    """A listener that keeps the queues that it is told of, and can be waited for."""

    def __init__(self, store: WebhookStore) -> None:
        self.queues: list[Queue] = []
        self._told = asyncio.Event()
        store.listen(self._take)

    async def until(self, queue: Queue, within: float = 5.0) -> None:
        """Wait until a queue has been named, and forget all."""
        async with asyncio.timeout(within):
            while queue not in self.queues:
                self._told.clear()
                await self._told.wait()
        self.queues.clear()

    def _take(self, queue: Queue) -> None:
        self.queues.append(queue)
        self._told.set()
