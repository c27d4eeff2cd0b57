"""What only the webhook store in memory has: bounds of its own."""

import pytest

from pogo.webhooks import DEDUPLICATION, DeposedError, QueueFullError
from pogo.webhooks.memory import EVENT_OVERHEAD, MAX_IDS, MemoryWebhookStore
from tests.webhooks.helpers import (
    APP,
    OTHER,
    QUEUE,
    bodies,
    committed,
    item,
    items,
    ledger,
    numbers,
    outcome,
    put,
)

SIZE = EVENT_OVERHEAD + 1


class _Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_all_queues_share_their_bytes() -> None:
    """What does not fit is refused, one by one or whole; what was removed makes room."""
    store = MemoryWebhookStore(queue_bytes=3 * SIZE)
    await put(store, [item(0), item(1, OTHER)])
    outcomes = await store.enqueue([item(2, body=b"22"), item(3), item(4, OTHER)])
    lead, _ = await store.lead(APP)
    (first,) = await store.read(OTHER, 0, 1)
    await store.remove(OTHER, first.sequence)
    with pytest.raises(QueueFullError):
        await store.commit(lead, {"a": b"1"}, items(2, first=5))
    await store.commit(lead, {"b": b"1"}, [item(5)])

    assert [QueueFullError, type(None), QueueFullError] == [type(result) for result in outcomes]
    assert [b"0", b"3", b"5"] == await bodies(store)
    assert {"b": b"1"} == await ledger(store)


async def test_ids_are_forgotten() -> None:
    """An id can come again when its time is over, and not before."""
    clock = _Clock()
    store = MemoryWebhookStore(clock=clock)
    await put(store, [item(0)])
    clock.now += 1
    await put(store, [item(1)])
    clock.now += DEDUPLICATION - 1.5
    await put(store, items(2))
    before = await bodies(store)
    clock.now += 1
    await put(store, items(2))

    assert numbers(2) == before
    assert [b"0", b"1", b"0"] == await bodies(store)


async def test_ids_are_bounded() -> None:
    """As many as may are remembered: the oldest is forgotten first."""
    store = MemoryWebhookStore(10)
    for number in range(MAX_IDS + 1):
        assert await outcome(store, item(number)) is None
        (event,) = await store.read(QUEUE, 0, 10)
        await store.remove(QUEUE, event.sequence)
    await put(store, [item(1), item(2), item(0)])

    assert [b"0"] == await bodies(store)


async def test_closing_forgets_everything() -> None:
    """Nothing is left, nothing counts any more, and a lead of before is none."""
    store = MemoryWebhookStore(1, SIZE)
    lead = await committed(store, {"a": b"1"}, [item(0)])
    await store.close()
    await put(store, [item(0)])
    found = await ledger(store)
    with pytest.raises(DeposedError):
        await store.commit(lead, {"a": b"2"}, [])

    assert {} == found
    assert [b"0"] == await bodies(store)
