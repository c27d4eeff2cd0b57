"""Webhooks from durable stores on real servers, whose deaths lose nothing."""

import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from pogo.broker.webhooks.endpoint import Pace
from pogo.webhooks import WebhookStore
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.redis import RedisOptions, RedisWebhookStore
from tests.broker.deliveries import delivering, in_order, make_items, make_webhook, spread
from tests.servers import NatsServer, RedisServer, ServerProcess
from tests.webhook_receiver import FAILURE, Answer, WebhookReceiver
from tests.webhooks.helpers import opened

EVENTS = 10_000
MAX_GROWTH = 16 * 1024 * 1024
"""Bytes by which the process may grow while it delivers: what allocators keep, mostly."""

_DURABLE = ["appendonly yes", "appendfsync always"]


@dataclass
class Place:
    """A server that runs, and how to make stores on it."""

    server: ServerProcess
    make: Callable[[], WebhookStore]


def _nats(directory: Path) -> Place:
    server = NatsServer(directory)
    return Place(server, lambda: NatsWebhookStore([server.url]))


def _redis(directory: Path) -> Place:
    server = RedisServer(directory, config=_DURABLE)
    return Place(server, lambda: RedisWebhookStore(RedisOptions(port=server.port)))


@pytest_asyncio.fixture(
    name="place", params=[pytest.param(_nats, id="nats"), pytest.param(_redis, id="redis")]
)
async def _place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    place: Place = request.param(tmp_path / "server")
    async with place.server:
        yield place


def _resident() -> int:
    """Return the bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_ten_thousand_events(place: Place) -> None:
    """All events arrive, once and in order, and the process does not grow with them."""
    async with opened(place.make()) as store, WebhookReceiver() as receiver:
        async with delivering(store) as idle:
            await idle.enqueue(make_items(spread(EVENTS), size=500))
        gc.collect()
        before = _resident()
        started = time.perf_counter()
        async with delivering(store, make_webhook(receiver.url)) as running:
            await receiver.until_events(EVENTS)
            took = time.perf_counter() - started
            await running.until_empty()
        received = sum(len(got.body) for got in receiver.requests)
        growth = _resident() - before - received

    print(  # noqa: T201 (the figures are what the run is for)
        f"{place.server.name}: {EVENTS} events in {took:.1f} s, {EVENTS / took:.0f} a second; "
        f"memory grew by {growth / 1024 / 1024:.1f} MiB beside what the receiver keeps"
    )
    assert EVENTS == len(receiver.events)
    assert in_order(receiver.events)
    assert growth < MAX_GROWTH


async def test_the_server_is_killed(place: Place) -> None:
    """A server that dies and comes back in mid-delivery costs nothing but time."""
    async with opened(place.make()) as store, WebhookReceiver() as receiver:
        receiver.always = Answer(after=0.02)
        async with delivering(store, make_webhook(receiver.url), webhook_batch_size=20) as running:
            await running.enqueue(make_items(spread(1000)))
            for count in (200, 500):
                await receiver.until_events(count)
                place.server.kill()
                await place.server.start()
            await receiver.until_events(1000)
            await running.until_empty()

    names = [event["id"] for event in receiver.events]
    print(f"{place.server.name}: {len(names) - len(set(names))} repeats")  # noqa: T201 (a figure)
    assert 1000 == len(set(names))
    assert in_order(receiver.events)


async def test_two_brokers_at_once(place: Place) -> None:
    """While two believe that they lead, events may come twice, and still in order."""
    async with (
        opened(place.make()) as store,
        opened(place.make()) as other_store,
        WebhookReceiver() as receiver,
    ):
        receiver.always = Answer(after=0.01)
        receiver.answer_next(*[FAILURE, Answer(after=0.03)] * 10)
        webhook = make_webhook(receiver.url)
        async with (
            delivering(store, webhook, webhook_batch_size=20) as running,
            delivering(other_store, webhook, webhook_batch_size=20),
        ):
            await running.enqueue(make_items(spread(1000)))
            await receiver.until(lambda: len({each["id"] for each in receiver.events}) == 1000)
            await running.until_empty()

    assert receiver.most_in_flight > 1
    assert in_order(receiver.events)


async def test_hints_from_another_process(place: Place) -> None:
    """What somebody else has stored is posted at once, and not at the next look."""
    never = Pace(look_every=3600.0)
    async with (
        opened(place.make()) as store,
        opened(place.make()) as other_store,
        WebhookReceiver() as receiver,
        delivering(store, make_webhook(receiver.url), pace=never) as running,
        delivering(other_store) as elsewhere,
    ):
        await running.enqueue(make_items([("private-a", 0)]))
        await receiver.until_events(1)
        await running.until_empty()
        await elsewhere.enqueue(make_items([("private-a", 1)]))
        await receiver.until_events(2)

    assert in_order(receiver.events)
