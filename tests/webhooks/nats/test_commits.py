"""A commit on NATS, which has two steps: what happens between them, and after."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from pogo.webhooks import (
    MAX_COMMIT_BYTES,
    Item,
    Lead,
    Queue,
    QueueFullError,
    StoreUnavailableError,
    WebhookStore,
    nats_wire,
)
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.nats_queues import NatsQueuesConnection
from tests.servers import NatsServer
from tests.webhooks.helpers import (
    APP,
    OTHER,
    QUEUE,
    SHORT,
    bodies,
    committed,
    item,
    items,
    ledger,
    numbers,
    opened,
    put,
    remove_first,
)


def fill_after_check(
    monkeypatch: pytest.MonkeyPatch, writer: WebhookStore, count: int, queue: Queue = QUEUE
) -> None:
    """Have somebody store events as soon as the next commit has seen that there is room."""
    check_room = NatsQueuesConnection.check_room

    async def check_and_fill(
        connection: NatsQueuesConnection, app_id: str, events: Sequence[Item]
    ) -> None:
        await check_room(connection, app_id, events)
        if queue in {event.queue for event in events}:
            monkeypatch.setattr(NatsQueuesConnection, "check_room", check_room)
            await put(writer, items(count, queue, first=100))

    monkeypatch.setattr(NatsQueuesConnection, "check_room", check_and_fill)


async def test_a_queue_that_is_filled_meanwhile(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is done; its events come as there is room, before those of any other commit."""
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT - 1)
    await store.commit(lead, {"a": b"1"}, [*items(3), item(9, OTHER)])
    before = await bodies(peer)
    with pytest.raises(QueueFullError):
        await store.commit(lead, {"a": b"2"}, [item(3)])
    await remove_first(store, 2)

    assert [*numbers(SHORT - 1, first=100), b"0"] == before
    assert [*numbers(2, first=102), *numbers(3)] == await bodies(peer)
    assert [b"9"] == await bodies(peer, OTHER)
    await store.commit(lead, {"b": b"3"}, [])
    assert {"a": b"1", "b": b"3"} == await ledger(peer)


async def test_a_commit_that_waits_goes_first(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody else made room, the next commit puts the events of the last one first."""
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT)
    await store.commit(lead, {"a": b"1"}, items(2))
    await remove_first(peer, SHORT - 1)
    await store.commit(lead, {"a": b"2"}, [item(2)])

    assert [b"104", *numbers(3)] == await bodies(peer)


async def test_a_successor_of_a_commit_that_waits(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the ledger with it and waits for room itself; no event is there twice."""
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT - 1)
    await store.commit(lead, {"a": b"1"}, items(2))
    lead, found = await peer.lead(APP)
    with pytest.raises(QueueFullError):
        await peer.commit(lead, {"a": b"2"}, [item(2)])
    await remove_first(peer, SHORT - 1)
    await remove_first(store, 1)
    await peer.commit(lead, {"a": b"2"}, [item(2)])

    assert {"a": b"1"} == found
    assert numbers(2, first=1) == await bodies(store)
    assert {"a": b"2"} == await ledger(store)


async def test_a_queue_that_is_full_holds_up_no_other(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other endpoints are told meanwhile; the events that wait are not lost with their leader."""
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT)
    await store.commit(lead, {"a": b"1"}, items(2))
    for number in range(2):
        await store.commit(lead, {"b": b"%d" % number}, [item(number, OTHER)])
    before = await bodies(peer, OTHER)
    _, found = await peer.lead(APP)
    await remove_first(peer, SHORT)

    assert numbers(2) == before
    assert {"a": b"1", "b": b"1"} == found
    assert numbers(2) == await bodies(peer)
    assert numbers(2) == await bodies(peer, OTHER)


async def test_what_was_put_is_not_put_again_by_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the other events of a commit wait, it only puts those."""
    monkeypatch.setattr(nats_wire, "DEDUPLICATION", 0.1)
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsWebhookStore([server.url], SHORT)) as store,
        opened(NatsWebhookStore([server.url], SHORT)) as peer,
    ):
        lead, _ = await store.lead(APP)
        fill_after_check(monkeypatch, peer, SHORT)
        await store.commit(lead, {}, [item(1), item(2, OTHER)])
        await store.commit(lead, {}, [item(3, OTHER)])
        async with asyncio.timeout(5.0):
            while await peer.size(OTHER) < 4:
                await put(store, [item(4, OTHER)])
        await peer.lead(APP)
        await remove_first(peer, SHORT)

        assert [b"1"] == await bodies(peer)
        assert [b"2", b"3", b"4", b"4"] == await bodies(peer, OTHER)


async def test_events_that_wait_are_bounded(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where full queues hold up more bytes than a record can carry along, all others wait too."""
    large = b"." * (MAX_COMMIT_BYTES - 100)
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT)
    await store.commit(lead, {}, [item(1, body=large)])
    fill_after_check(monkeypatch, peer, SHORT, OTHER)
    await store.commit(lead, {}, [item(2, OTHER, body=large)])
    with pytest.raises(QueueFullError, match="wait for room"):
        await store.commit(lead, {}, [item(3, Queue(APP, "third"))])
    await remove_first(peer, SHORT)
    await bodies(store)
    await store.commit(lead, {}, [item(3, Queue(APP, "third"))])

    assert [b"3"] == await bodies(peer, Queue(APP, "third"))
    assert [large] == await bodies(peer)


async def commit_and_die(
    monkeypatch: pytest.MonkeyPatch,
    store: WebhookStore,
    lead: Lead,
    changes: dict[str, bytes | None],
    events: Sequence[Item],
) -> None:
    """Commit, and die before the events are in their queues."""
    with monkeypatch.context() as dying:

        async def die(connection: NatsQueuesConnection, events: Sequence[Item]) -> None:
            del connection, events
            raise asyncio.CancelledError

        dying.setattr(NatsQueuesConnection, "enqueue", die)
        with pytest.raises(asyncio.CancelledError):
            await store.commit(lead, changes, events)


async def test_a_leader_that_dies_between_the_steps(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leads next has its commit in the ledger, and puts its events into their queues."""
    lead = await committed(store, {"a": b"1"}, items(2))
    await commit_and_die(monkeypatch, store, lead, {"a": b"2"}, items(2, first=2))
    before = await bodies(peer)
    with pytest.raises(StoreUnavailableError, match="not known"):
        await store.commit(lead, {"a": b"3"}, [])
    found = await ledger(peer)

    assert numbers(2) == before
    assert {"a": b"2"} == found
    assert numbers(4) == await bodies(peer)


async def test_a_leader_that_dies_while_events_wait(
    store: NatsWebhookStore, peer: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leads next puts those that waited, too."""
    lead, _ = await store.lead(APP)
    fill_after_check(monkeypatch, peer, SHORT)
    await store.commit(lead, {}, items(2))
    await commit_and_die(monkeypatch, store, lead, {}, [item(3, OTHER)])
    await peer.lead(APP)
    await remove_first(peer, SHORT)

    assert numbers(2) == await bodies(peer)
    assert numbers(1, first=3) == await bodies(peer, OTHER)


async def test_events_that_were_put_are_not_put_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the lead long after the last commit leaves its events alone."""
    monkeypatch.setattr(nats_wire, "DEDUPLICATION", 0.1)
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsWebhookStore([server.url])) as store,
        opened(NatsWebhookStore([server.url])) as peer,
    ):
        await committed(store, {"a": b"1"}, [item(1)])
        await put(store, [item(2, OTHER)])
        async with asyncio.timeout(5.0):
            while await peer.size(OTHER) < 2:
                await put(store, [item(2, OTHER)])
        for side in (peer, store, peer):
            assert {"a": b"1"} == await ledger(side)

        assert [b"1"] == await bodies(peer)
