"""What all webhook stores promise, on each adapter."""

import asyncio
import random

import pytest

from pogo.webhooks import (
    MAX_COMMIT_BYTES,
    DeposedError,
    Item,
    Queue,
    QueueFullError,
    WebhookStore,
)
from pogo.webhooks.interface import MAX_EVENT_BYTES, MAX_KEY_BYTES
from tests.webhooks.conftest import SIZE
from tests.webhooks.helpers import (
    APP,
    OTHER,
    QUEUE,
    Hints,
    bodies,
    committed,
    item,
    items,
    ledger,
    numbers,
    outcome,
    put,
)


async def test_events_are_read_in_the_order_in_which_they_came(
    store: WebhookStore, peer: WebhookStore
) -> None:
    """Any bytes come back, each queue by itself, with places that grow."""
    body = bytes(range(256)) + b"\r\n"
    await put(store, [item(0, body=body), item(1, OTHER), item(2)])
    await put(peer, [item(3), item(4, OTHER)])
    events = await peer.read(QUEUE, 0, 100)

    assert [body, b"2", b"3"] == [event.body for event in events]
    assert sorted({event.sequence for event in events}) == [event.sequence for event in events]
    assert events[0].sequence > 0
    assert [b"1", b"4"] == await bodies(store, OTHER)


async def test_reading_goes_on_behind_a_place(store: WebhookStore) -> None:
    """As many events as were asked for, or as there are."""
    await put(store, items(10))
    first = await store.read(QUEUE, 0, 4)
    rest = await store.read(QUEUE, first[-1].sequence, 100)

    assert numbers(4) == [event.body for event in first]
    assert numbers(6, first=4) == [event.body for event in rest]
    assert [] == await store.read(QUEUE, rest[-1].sequence, 100)


async def test_an_empty_queue(store: WebhookStore) -> None:
    """There is nothing to read, to count or to remove."""
    await store.remove(QUEUE, 10**15)

    assert [] == await store.read(QUEUE, 0, 10)
    assert [] == await store.enqueue([])
    assert 0 == await store.size(QUEUE)


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 128, "ä b:*>"])
async def test_names_of_queues(store: WebhookStore, peer: WebhookStore, name: str) -> None:
    """Whatever an app and an endpoint are called, theirs is a queue of its own."""
    hints = Hints(peer)
    queue = Queue(name, name)
    await put(store, [item(1, queue), item(2, Queue(name, "b")), item(3, Queue("b", name))])

    assert [b"1"] == await bodies(peer, queue)
    await hints.until(queue)


async def test_an_id_is_stored_once_in_its_queue(store: WebhookStore, peer: WebhookStore) -> None:
    """One that comes again counts as stored, even after its event was removed."""
    await put(store, [item(1), item(1, OTHER), item(2), item(1)])
    await put(peer, [item(2), item(3)])
    events = await store.read(QUEUE, 0, 10)
    await store.remove(QUEUE, events[-1].sequence)
    await put(peer, [item(3)])

    assert numbers(3, first=1) == [event.body for event in events]
    assert [] == await bodies(store)
    assert [b"1"] == await bodies(store, OTHER)


async def test_removed_events_are_gone(store: WebhookStore, peer: WebhookStore) -> None:
    """Those up to a place are, in their queue and for everyone, and no others."""
    await put(store, [*items(5), item(5, OTHER)])
    events = await store.read(QUEUE, 0, 10)
    await store.remove(QUEUE, events[2].sequence)
    await store.remove(QUEUE, events[1].sequence)

    assert numbers(2, first=3) == await bodies(peer)
    assert [b"5"] == await bodies(peer, OTHER)
    assert (2, 1) == (await peer.size(QUEUE), await peer.size(OTHER))


async def test_a_full_queue_refuses_what_is_new(store: WebhookStore) -> None:
    """It keeps what it has, other queues are not full, and what was removed makes room."""
    await put(store, items(SIZE))
    outcomes = await store.enqueue([item(SIZE), item(0), item(1, OTHER)])

    assert isinstance(outcomes[0], QueueFullError)
    assert [None, None] == outcomes[1:]
    assert SIZE == await store.size(QUEUE)

    (first,) = await store.read(QUEUE, 0, 1)
    await store.remove(QUEUE, first.sequence)
    await put(store, [item(SIZE)])

    assert isinstance(await outcome(store, item(SIZE + 1)), QueueFullError)
    assert numbers(SIZE, first=1) == await bodies(store)


async def test_many_writers(store: WebhookStore, peer: WebhookStore) -> None:
    """Each finds its own events in its own order."""
    await asyncio.gather(
        *[
            put(writer, [Item(QUEUE, f"{name}-{n}", b"%d-%d" % (name, n)) for n in range(20)])
            for name, writer in enumerate([store, peer] * 10)
        ]
    )
    found = await bodies(store)

    for name in range(20):
        own = [body for body in found if body.startswith(b"%d-" % name)]
        assert [b"%d-%d" % (name, n) for n in range(20)] == own


async def test_listeners_hear_of_what_was_stored(store: WebhookStore, peer: WebhookStore) -> None:
    """In every process, whichever stored it, in either way; then it can be read."""
    hints, others = Hints(store), Hints(peer)
    for number, writer in enumerate((store, peer)):
        await put(writer, [item(number, OTHER)])
        for listener in (hints, others):
            await listener.until(OTHER)
        assert numbers(number + 1) == await bodies(store, OTHER)
        await committed(writer, {}, [item(number)])
        for listener in (hints, others):
            await listener.until(QUEUE)
        assert numbers(number + 1) == await bodies(peer, QUEUE)


async def test_a_ledger_is_read_as_it_was_committed(
    store: WebhookStore, peer: WebhookStore
) -> None:
    """Keys of any text and values of any bytes, replaced and removed, each app's by itself."""
    key, longest = "presence-ä b/\r\n\0*.>", "k" * MAX_KEY_BYTES
    lead = await committed(store, {key: bytes(range(256)), longest: b"", "gone": b"1"})
    await store.commit(lead, {longest: b"2", "gone": None, "never": None}, [])
    await committed(store, {"its": b"own"}, app_id="app")

    assert {key: bytes(range(256)), longest: b"2"} == await ledger(peer)
    assert {"its": b"own"} == await ledger(peer, "app")
    assert {} == await ledger(peer, "app.2")


async def test_a_commit_stores_its_events(store: WebhookStore, peer: WebhookStore) -> None:
    """Behind those that are there, in order, in several queues, and each id once."""
    await put(store, [item(0)])
    lead = await committed(store, {"a": b"1"}, [item(1), item(1, OTHER), item(2), item(1)])
    await store.commit(lead, {"a": b"2"}, [item(0), item(2), item(3)])
    await store.commit(lead, {}, [])

    assert numbers(4) == await bodies(peer)
    assert [b"1"] == await bodies(peer, OTHER)
    assert {"a": b"2"} == await ledger(peer)


async def test_a_full_queue_keeps_a_commit_from_all(
    store: WebhookStore, peer: WebhookStore
) -> None:
    """Neither the ledger nor any queue has anything of it; with room, it is done."""
    await put(store, items(SIZE - 1))
    lead = await committed(store, {"a": b"1"})
    events = [item(-1, OTHER), item(SIZE - 1), item(SIZE)]
    for _ in range(2):
        with pytest.raises(QueueFullError):
            await store.commit(lead, {"a": b"2", "b": b"1"}, events)

    assert (SIZE - 1, 0) == (await peer.size(QUEUE), await peer.size(OTHER))
    assert {"a": b"1"} == await ledger(peer)

    lead, _ = await store.lead(APP)
    (first,) = await store.read(QUEUE, 0, 1)
    await store.remove(QUEUE, first.sequence)
    await store.commit(lead, {"a": b"2"}, events)

    assert numbers(SIZE, first=1) == await bodies(peer)
    assert [b"-1"] == await bodies(peer, OTHER)
    assert {"a": b"2"} == await ledger(peer)


async def test_a_deposed_leader_commits_nothing(store: WebhookStore, peer: WebhookStore) -> None:
    """Nothing of it is stored, neither before nor after the new leader's commit."""
    old = await committed(store, {"a": b"1"})
    new, found = await peer.lead(APP)
    with pytest.raises(DeposedError):
        await store.commit(old, {"a": b"2"}, [item(2)])
    await peer.commit(new, {"a": b"3"}, [item(3)])
    with pytest.raises(DeposedError):
        await store.commit(old, {"b": b"4"}, [item(4)])

    assert {"a": b"1"} == found
    assert [b"3"] == await bodies(store)
    assert {"a": b"3"} == await ledger(store)


async def test_leaders_of_apps_do_not_meet(store: WebhookStore, peer: WebhookStore) -> None:
    """Whoever leads one app is not deposed by whoever leads another."""
    lead, _ = await store.lead(APP)
    await committed(peer, {"a": b"1"}, app_id="app")
    await store.commit(lead, {"a": b"2"}, [])

    assert {"a": b"2"} == await ledger(peer)


async def test_leaders_who_contend(store: WebhookStore, peer: WebhookStore) -> None:
    """Two add to a number whenever they lead: each commit counts once, with its event."""
    done: list[bytes] = []

    async def lead_often(side: WebhookStore) -> None:
        for _ in range(25):
            lead, found = await side.lead(APP)
            number = int(found.get("number", b"0"))
            try:
                for step in range(number + 1, number + 1 + random.randint(1, 3)):  # noqa: S311
                    await side.commit(lead, {"number": b"%d" % step}, [item(step)])
                    done.append(b"%d" % step)
            except DeposedError:
                continue

    await asyncio.gather(lead_often(store), lead_often(peer))

    assert sorted(done, key=int) == await bodies(store)
    assert {"number": b"%d" % len(done)} == await ledger(store)


async def test_limits_of_a_commit(store: WebhookStore) -> None:
    """The largest is stored; a larger one, and events of other apps, are refused undone."""
    lead, _ = await store.lead(APP)
    half = MAX_COMMIT_BYTES // 2
    changes = {"a": b"x" * (half - 1)}
    largest = Item(QUEUE, "id", b"y" * (half - 2))
    too_large = Item(QUEUE, "id2", b"y" * (half - 2))
    for wrong in (
        store.commit(lead, changes, [too_large]),
        store.commit(lead, {"k" * (MAX_KEY_BYTES + 1): b""}, []),
        store.commit(lead, {"": b""}, []),
        store.commit(lead, {}, [item(1, Queue("app", "default"))]),
    ):
        with pytest.raises(ValueError, match=r"bytes|another app"):
            await wrong
    await store.commit(lead, changes, [largest])

    assert [largest.body] == await bodies(store)
    assert changes == await ledger(store)


async def test_many_small_parts_are_one_commit(store: WebhookStore, peer: WebhookStore) -> None:
    """Thousands of the smallest changes and events are within the limits of a server."""
    changes: dict[str, bytes | None] = {f"{number:x}": b"" for number in range(30_000)}
    events = [Item(QUEUE, f"{number:x}", b"1") for number in range(SIZE)]
    await committed(store, changes, events)

    assert changes == await ledger(peer)
    assert SIZE == await peer.size(QUEUE)


async def test_the_largest_event(store: WebhookStore, peer: WebhookStore) -> None:
    """It goes through a queue with others of its size."""
    large = b"x" * MAX_EVENT_BYTES
    await put(store, [item(number, body=large) for number in range(6)])

    assert [large] * 6 == await bodies(peer)


async def test_an_event_that_is_too_large(store: WebhookStore, peer: WebhookStore) -> None:
    """It is refused, and those before and behind it are stored."""
    large = item(1, body=b"x" * (MAX_EVENT_BYTES + 1))
    before, refused, behind = await store.enqueue([item(0), large, item(2)])

    assert (None, None) == (before, behind)
    assert "bytes" in str(refused)
    assert [b"0", b"2"] == await bodies(peer)


async def test_ledgers_do_not_grow_with_what_is_over(
    store: WebhookStore, peer: WebhookStore
) -> None:
    """After thousands of keys came and went, the ones that stay are there, and are few."""
    lead = await committed(store, {"stays": b"1"})
    for number in range(100):
        keys = [f"channel-{number}-{n}" for n in range(100)]
        await store.commit(lead, dict.fromkeys(keys, b"1" * 50), [])
        await store.commit(lead, dict.fromkeys(keys), [])
    await store.commit(lead, {"last": b"2"}, [item(1)])

    assert {"stays": b"1", "last": b"2"} == await ledger(peer)
    assert [b"1"] == await bodies(peer)
