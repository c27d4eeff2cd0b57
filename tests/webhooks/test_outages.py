"""What webhook stores on a server do while it is away or frozen, and what they keep of it."""

import asyncio
import contextlib
import time

import pytest

from pogo.webhooks import CONFIRM_TIMEOUT, Lead, StoreUnavailableError, WebhookStore
from tests.webhooks.conftest import Place
from tests.webhooks.helpers import (
    APP,
    QUEUE,
    Hints,
    bodies,
    committed,
    item,
    items,
    ledger,
    numbers,
    opened,
    outcome,
    put,
    until_available,
    until_lost,
)

# How late a loaded machine may be.
SLACK = 0.5


async def lead_as_soon_as_possible(
    store: WebhookStore, within: float = 10.0
) -> tuple[Lead, dict[str, bytes]]:
    """Take the lead when the store is there again."""
    async with asyncio.timeout(within):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                return await store.lead(APP)
            await asyncio.sleep(0.01)


async def test_a_server_that_is_not_there_yet(place: Place) -> None:
    """Everything fails at once, and works when it has come."""
    async with opened(place.make()) as store:
        started = time.monotonic()
        refused = await outcome(store, item(1))
        for call in (
            store.read(QUEUE, 0, 1),
            store.remove(QUEUE, 1),
            store.size(QUEUE),
            store.lead(APP),
        ):
            with pytest.raises(StoreUnavailableError, match="not connected to"):
                await call

        assert isinstance(refused, StoreUnavailableError)
        assert not store.connected
        assert time.monotonic() - started < SLACK

        await place.server.start()
        await until_available(store)
        await put(store, [item(1)])
        assert {} == await ledger(store)


async def test_a_restart_keeps_everything(place: Place) -> None:
    """Queues, ledger, ids and lead are there when a server was killed and has come back."""
    await place.server.start()
    async with opened(place.make()) as store:
        hints = Hints(store)
        await put(store, items(5))
        lead = await committed(store, {"a": b"1", "b": b"2"}, items(5, first=5))
        (first,) = await store.read(QUEUE, 0, 1)
        await store.remove(QUEUE, first.sequence)
        place.server.kill()
        await until_lost(store)
        with pytest.raises(StoreUnavailableError):
            await store.read(QUEUE, 0, 1)
        await place.server.start()
        await until_available(store)

        assert numbers(9, first=1) == await bodies(store)
        hints.queues.clear()
        await store.commit(lead, {"a": None}, [item(3), item(10)])
        await hints.until(QUEUE)
        events = await store.read(QUEUE, first.sequence, 100)
        assert numbers(10, first=1) == [event.body for event in events]
        assert {"b": b"2"} == await ledger(store)


async def test_a_frozen_server(place: Place) -> None:
    """Nobody waits for longer than two seconds, and it comes back."""
    await place.server.start()
    async with opened(place.make()) as store:
        lead = await committed(store, {"a": b"1"}, [item(1)])
        place.server.freeze()
        started = time.monotonic()
        refused, *failed = await asyncio.gather(
            outcome(store, item(2)),
            store.read(QUEUE, 0, 1),
            store.remove(QUEUE, 1),
            store.size(QUEUE),
            store.lead("other"),
            store.commit(lead, {"a": b"2"}, [item(3)]),
            return_exceptions=True,
        )
        lasted = time.monotonic() - started
        place.server.thaw()
        lead, found = await lead_as_soon_as_possible(store)
        await store.commit(lead, {"b": b"1"}, [item(4)])
        events = await bodies(store)

        assert isinstance(refused, StoreUnavailableError)
        assert [StoreUnavailableError] * 5 == [type(error) for error in failed]
        assert lasted < CONFIRM_TIMEOUT + SLACK
        # What was not confirmed may have been done, whole.
        assert (b"3" in events) == (b"2" == found["a"])
        assert [b"1", b"4"] == [event for event in events if event not in (b"2", b"3")]


async def test_a_lead_that_is_lost(place: Place) -> None:
    """After an outage in the middle of a commit, the lead is taken anew."""
    await place.server.start()
    async with opened(place.make()) as store:
        lead = await committed(store, {"a": b"1"})
        committing = asyncio.create_task(store.commit(lead, {"a": b"2"}, items(100)))
        await asyncio.sleep(0)
        place.server.kill()
        with pytest.raises(StoreUnavailableError):
            await committing
        await until_lost(store)
        await place.server.start()
        await until_available(store)
        lead, found = await store.lead(APP)
        await store.commit(lead, {"b": b"1"}, [item(100)])
        first = 0 if found["a"] == b"2" else 100

        assert numbers(101 - first, first=first) == await bodies(store)
