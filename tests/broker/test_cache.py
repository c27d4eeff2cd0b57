"""What a broker does with events on cache channels: the records have them before the bus."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pogo.broker.apps import AppDirectory
from pogo.broker.cache import ROOM, CachedData, CachedEvents
from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.queues import is_cached
from pogo.broker.status import Outcome
from pogo.broker.workers import MAX_WAIT
from pogo.bus import Bus, BusUnavailableError, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.records import CONFIRM_TIMEOUT, Records, RecordsError, Write
from pogo.records.memory import RECORD_OVERHEAD, MemoryRecords
from pogo.records.nats import NatsRecords
from pogo.records.redis import RedisOptions, RedisRecords
from pogo.rpc.v1.delivery_pb2 import CachedEvent, Delivery
from pogo.rpc.v1.status import StatusCode
from tests.broker.helpers import (
    APP,
    FailingBus,
    FixedEdges,
    listen,
    make_settings,
    memory_bus,
    request,
    running_broker,
)
from tests.records.helpers import opened
from tests.servers import HOST, NatsServer, RedisServer, free_port

CACHE = "cache-prices"
CALL_LIMIT = 2.0
"""Seconds: no call takes longer, whatever has happened to the records."""


class HeldRecords(MemoryRecords):
    """Records in memory that confirm nothing until they are told to, and keep what they wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Wait for the release, then write."""
        self.batches.append([write.key for write in writes])
        self.arrived.set()
        await self.released.wait()
        return await super().write(writes)


class Running:
    """A publisher, what it counts, and what it records."""

    def __init__(self, bus: Bus, cache: Records, **changes: object) -> None:
        self.registry = CollectorRegistry()
        self.cache = cache
        self.publisher = Publisher(
            make_settings(**changes),
            apps=AppDirectory([APP]),
            bus=bus,
            live_edges=FixedEdges(alive=True),
            metrics=BrokerMetrics(self.registry),
            cache=cache,
        )

    def begin(self, *events: Event) -> asyncio.Task[list[Outcome]]:
        """Begin to publish."""
        return asyncio.create_task(self.publisher.publish(events, json_data=True))

    async def publish(self, *events: Event) -> list[int]:
        """Publish, within the time that a call may take; returns the codes."""
        async with asyncio.timeout(CALL_LIMIT):
            return [int(outcome.status) for outcome in await self.begin(*events)]

    async def cached(self, channel: str = CACHE) -> tuple[CachedEvent, int] | None:
        """Return the event that a channel remembers, and its record's revision."""
        (record,) = await self.cache.get([channel_subject(APP.id, channel)])
        return None if record is None else (CachedEvent.FromString(record.value), record.revision)

    def dropped(self, reason: str) -> float:
        """Return how many messages were dropped for a reason."""
        name = "pogo_websocket_broker_dropped_messages_total"
        return self.registry.get_sample_value(name, {"reason": reason}) or 0.0


@contextlib.asynccontextmanager
async def running(
    bus: Bus, cache: Records | None = None, **changes: object
) -> AsyncIterator[Running]:
    """Run a publisher; the bus and the records are started here."""
    await bus.start()
    async with opened(cache or MemoryRecords()) as records:
        broker = Running(bus, records, **changes)
        broker.publisher.start()
        try:
            yield broker
        finally:
            await broker.publisher.stop()
            await bus.close()


def event(data: str = "{}", *channels: str, message_id: str = "") -> Event:
    """Make an event on the cache channel, or on others."""
    return Event(APP.id, channels or (CACHE,), "headline", data, message_id=message_id)


@pytest.mark.parametrize(
    ("channel", "caches"),
    [
        ("cache-a", True),
        ("private-cache-a", True),
        ("private-encrypted-cache-a", True),
        ("presence-cache-a", True),
        ("cache-a.b;c", True),
        ("cache", False),
        ("my-cache-a", False),
        ("private-my-cache-a", False),
        ("private-encrypted-a-cache-b", False),
        ("presence-a.cache-b", False),
        ("privatecache-a", False),
        ("#server-to-user-cache-a", False),
    ],
)
def test_which_channels_are_cached(channel: str, caches: bool) -> None:  # noqa: FBT001 (a parameter)
    """The prefix decides, to its dash, whatever the app is called."""
    assert caches is is_cached(channel_subject("cache-app", channel))


async def test_an_event_is_recorded_before_it_is_published() -> None:
    """While the record is not confirmed, the bus has nothing; then both have the same event."""
    cache, bus = HeldRecords(), MemoryBus()
    heard = listen(bus, CACHE)
    async with running(bus, cache, cache_ttl=60) as broker:
        before = time.time()
        call = broker.begin(event('{"a":"ö"}', message_id="id-1"))
        await cache.arrived.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        heard_before = list(heard)
        cache.released.set()
        (outcome,) = await call
        cached = await broker.cached()

    assert [] == heard_before
    assert StatusCode.SUCCESS is outcome.status
    assert cached is not None
    record, revision = cached
    payload = '{"event":"headline","channel":"cache-prices","data":"{\\"a\\":\\"ö\\"}"}'.encode()
    assert [Delivery(payload=payload, id="id-1", cache_revision=revision)] == heard
    assert (payload, "id-1") == (record.payload, record.id)
    assert 60_000 <= record.expires_at_ms - int(before * 1000) < 62_000


async def test_other_channels_are_not_recorded() -> None:
    """Their deliveries say nothing of a record."""
    async with running(bus := MemoryBus()) as broker:
        heard = listen(bus, "news")

        assert [0] == await broker.publish(event("1", "news"))
        assert [0] == [delivery.cache_revision for delivery in heard]
        assert isinstance(broker.cache, MemoryRecords)
        assert 0 == broker.cache.count


async def test_only_the_last_of_a_batch_is_recorded() -> None:
    """All of a channel's events are published, in order, under the revision of the last."""
    cache, bus = HeldRecords(), MemoryBus()
    cache.released.set()
    heard = listen(bus, CACHE)
    async with running(bus, cache, num_workers=1) as broker:
        codes = await broker.publish(*[event(str(n)) for n in range(5)], event("x", "cache-other"))
        cached = await broker.cached()

    subjects = [channel_subject(APP.id, channel) for channel in (CACHE, "cache-other")]
    assert [5 * [0] + [5]] == [codes]
    assert [subjects[:1]] == cache.batches
    assert cached is not None
    assert [f'"{n}"' for n in range(5)] == [
        delivery.payload.decode().rpartition(":")[2][:-1] for delivery in heard
    ]
    assert {cached[1]} == {delivery.cache_revision for delivery in heard}
    assert heard[-1].payload == cached[0].payload


async def test_the_last_event_stands() -> None:
    """Whatever was recorded before is replaced, and revisions rise."""
    async with running(bus := MemoryBus()) as broker:
        heard = listen(bus, CACHE)
        for number in range(3):
            assert [0] == await broker.publish(event(str(number)))
        cached = await broker.cached()

    revisions = [delivery.cache_revision for delivery in heard]
    assert sorted(set(revisions)) == revisions
    assert cached is not None
    assert (heard[-1].payload, revisions[-1]) == (cached[0].payload, cached[1])


async def test_what_is_not_recorded_is_not_published() -> None:
    """A full cache refuses an event with 6; nobody gets it, and others are not concerned."""
    bus = MemoryBus()
    heard = {name: listen(bus, name) for name in (CACHE, "cache-b", "news")}
    cache = MemoryRecords(2 * RECORD_OVERHEAD)
    async with running(bus, cache) as broker:
        (large, *rest) = await broker.begin(
            event('"' + "x" * 1000 + '"'), event("2", "cache-b"), event("3", "news")
        )

        assert StatusCode.BROKER_PUBLISH_FAILED is large.status
        assert large.detail.startswith("the cache did not take it (the records have ")
        assert large.detail.endswith(": not sent")
        assert not large.in_doubt
        assert [0, 0] == [outcome.status for outcome in rest]
        assert [0, 1, 1] == [len(deliveries) for deliveries in heard.values()]
        assert await broker.cached() is None
        assert 1 == broker.dropped("uncached")


async def test_a_slow_cache_delays_nobody_else() -> None:
    """While the records do not answer, all other channels are published, on every shard."""
    cache = HeldRecords()
    async with running(MemoryBus(), cache) as broker:
        call = broker.begin(event())
        await cache.arrived.wait()
        others = [event("1", f"channel-{number}") for number in range(100)]

        assert [0] * 100 == await broker.publish(*others)
        assert not call.done()
        cache.released.set()
        assert [0] == [outcome.status for outcome in await call]


async def test_one_event_on_channels_of_both_kinds() -> None:
    """It is answered when all have it; where the cache has no room, there is doubt."""
    bus = MemoryBus()
    heard = {name: listen(bus, name) for name in (CACHE, "news", "cache-b")}
    async with running(bus, MemoryRecords(3 * RECORD_OVERHEAD)) as broker:
        (good,) = await broker.begin(event("1", *heard))
        (bad,) = await broker.begin(event('"' + "x" * 1000 + '"', *heard))

        assert StatusCode.SUCCESS is good.status
        assert (StatusCode.BROKER_PUBLISH_FAILED, True) == (bad.status, bad.in_doubt)
        assert [1, 2, 1] == [len(deliveries) for deliveries in heard.values()]


async def test_records_that_are_away() -> None:
    """Events on cache channels fail at once, and no other channel's do."""
    cache = NatsRecords([f"nats://{HOST}:{free_port()}"], "tests")
    async with running(MemoryBus(), cache) as broker:
        started = time.monotonic()
        refused, other = await broker.begin(event(), event("1", "news"))
        lasted = time.monotonic() - started

    assert StatusCode.BROKER_PUBLISH_FAILED is refused.status
    assert "not connected to nats" in refused.detail
    assert StatusCode.SUCCESS is other.status
    assert lasted < CONFIRM_TIMEOUT / 2


async def test_records_that_are_frozen(tmp_path: Path) -> None:
    """Events fail within the time that a call may take; others do not wait; then it works again."""
    async with NatsServer(tmp_path) as server:
        cache = NatsRecords([server.url], "tests")
        async with running(MemoryBus(), cache) as broker:
            assert [0] == await broker.publish(event("1"))
            server.freeze()
            calls = [broker.begin(event("2")) for _ in range(3)]
            started = time.monotonic()
            others = await broker.publish(*[event("1", f"channel-{n}") for n in range(50)])
            lasted = time.monotonic() - started
            async with asyncio.timeout(CALL_LIMIT):
                outcomes = await asyncio.gather(*calls)
            server.thaw()
            async with asyncio.timeout(5):
                while await broker.publish(event("3")) != [0]:  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.05)
            cached = await broker.cached()

        assert [0] * 50 == others
        assert lasted < CONFIRM_TIMEOUT
        assert {StatusCode.BROKER_PUBLISH_FAILED} == {each.status for (each,) in outcomes}
        assert cached is not None
        assert b'"data":"3"}' in cached[0].payload


async def test_a_broker_that_stood_still_publishes_nothing() -> None:
    """What was recorded much later than the call came is answered 6, and not published."""
    cache, bus = HeldRecords(), MemoryBus()
    heard = listen(bus, CACHE)
    async with running(bus, cache) as broker:
        call = broker.begin(event())
        await cache.arrived.wait()
        await asyncio.sleep(MAX_WAIT + CONFIRM_TIMEOUT + 0.05)
        cache.released.set()

        assert [
            Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the cache is too slow: not sent")
        ] == await call
        assert [] == heard
        assert 1 == broker.dropped("late")


async def test_a_bus_that_fails() -> None:
    """An event that was recorded and not confirmed by the bus is in doubt, like any other."""
    async with running(FailingBus(BusUnavailableError("away"))) as broker:
        (outcome,) = await broker.begin(event())

        assert (StatusCode.BROKER_PUBLISH_FAILED, True) == (outcome.status, outcome.in_doubt)
        assert await broker.cached() is not None


async def test_stopping_while_the_records_are_waited_for() -> None:
    """The call is answered, with doubt; nothing waits any more."""
    cache = HeldRecords()
    async with running(MemoryBus(), cache) as broker:
        call = broker.begin(event("1"))
        await cache.arrived.wait()
        queued = broker.begin(event("2"))
        await asyncio.sleep(0)
        await broker.publisher.stop()
        outcomes = [*await call, *await queued]

    assert [True, False] == [outcome.in_doubt for outcome in outcomes]
    assert {StatusCode.BROKER_PUBLISH_FAILED} == {outcome.status for outcome in outcomes}


async def test_queues_are_bounded_apart() -> None:
    """Cache channels that wait fill their own shards, and count for the broker as a whole."""
    cache = HeldRecords()
    sizes = {"shard_queue_size": 2, "broker_queue_size": 3}
    async with running(MemoryBus(), cache, num_shards=1, num_workers=1, **sizes) as broker:
        first = broker.begin(event("1"))
        await cache.arrived.wait()
        second = broker.begin(event("2"))
        await asyncio.sleep(0)

        assert [9] == await broker.publish(event("3"))
        assert [0] == await broker.publish(event("1", "news"))
        cache.released.set()
        assert [0, 0] == [outcome.status for outcome in [*await first, *await second]]


@pytest.mark.parametrize("excess", [0, 1])
async def test_the_largest_event(tmp_path: Path, excess: int) -> None:
    """What just fits is recorded and published on a real server; a byte more is code 4."""
    async with NatsServer(tmp_path) as server:
        bus, cache = NatsBus([server.url]), NatsRecords([server.url], "tests")
        async with running(bus, cache, max_payload=2_000_000) as broker:
            largest = bus.max_payload - ROOM + excess
            beside = len(f'{{"event":"headline","channel":"{CACHE}","data":""}}')
            overhead = len(Delivery(payload=b"x" * largest, id="id").SerializeToString()) - largest
            data = "1" * (largest - overhead - beside)
            codes = await broker.publish(event(data, message_id="id"))
            other = await broker.publish(event(data, "plain-prices", message_id="id"))

            assert [4 if excess else 0] == codes
            assert [0] == other
            assert (None if excess else "id") == _id(await broker.cached())
            assert cache.connected


async def test_by_grpc() -> None:
    """A call of Pogo's own clients is recorded, and a repeated message id changes nothing."""
    async with memory_bus() as bus, opened(MemoryRecords()) as cache:
        heard = listen(bus, CACHE)
        async with running_broker(bus, cache=cache) as broker:
            first = request(CACHE, data="1", message_id="a")
            replies = [
                await broker.publish(item) for item in (first, request(CACHE, data="2"), first)
            ]
            cached = await broker.server.cached_events.get(APP.id, CACHE)

    assert [0, 0, 0] == [reply.status for reply in replies]
    assert 2 == len(heard)
    assert CachedData("2", 1800) == cached


@contextlib.asynccontextmanager
async def _records_on(kind: str, directory: Path) -> AsyncIterator[Records]:
    if kind == "memory":
        async with opened(MemoryRecords()) as memory:
            yield memory
    elif kind == "nats":
        async with NatsServer(directory) as nats, opened(NatsRecords([nats.url], "t")) as records:
            yield records
    else:
        async with (
            RedisServer(directory) as redis,
            opened(RedisRecords(RedisOptions(port=redis.port), "t")) as records,
        ):
            yield records


@pytest.mark.parametrize("kind", ["memory", "nats", "redis"])
async def test_reading_what_is_cached(kind: str, tmp_path: Path) -> None:
    """The data comes back as it was published, for as long as it is remembered."""
    data = '{"a":"ö \\" \\\\ \\u0000","b":[1,2]}'
    async with (
        _records_on(kind, tmp_path) as cache,
        running(MemoryBus(), cache, cache_ttl=2) as broker,
    ):
        events = CachedEvents(cache)
        before = await events.get(APP.id, CACHE)
        assert [0] == await broker.publish(event(data))
        found = await events.get(APP.id, CACHE)
        other_app = await events.get("other", CACHE)
        async with asyncio.timeout(5):
            while await events.get(APP.id, CACHE) is not None:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)

    assert before is None
    assert CachedData(data, 2) == found
    assert other_app is None


async def test_reading_what_has_expired() -> None:
    """A store may keep a record for a moment longer; it is not told any more."""
    async with opened(MemoryRecords()) as cache:
        past = CachedEvent(payload=b'{"data":"1"}', expires_at_ms=int(time.time() * 1000) - 1)
        await cache.write([_write(past.SerializeToString())])

        assert await CachedEvents(cache).get(APP.id, CACHE) is None


@pytest.mark.parametrize("value", [b"\xff", CachedEvent(payload=b"{}").SerializeToString()])
async def test_reading_what_is_no_event(value: bytes) -> None:
    """What something else wrote is an error, and no event."""
    async with opened(MemoryRecords()) as cache:
        await cache.write([_write(value)])

        with pytest.raises(RecordsError, match="is no event"):
            await CachedEvents(cache).get(APP.id, CACHE)


def _write(value: bytes) -> Write:
    return Write(channel_subject(APP.id, CACHE), value, 60, None)


def _id(cached: tuple[CachedEvent, int] | None) -> str | None:
    return None if cached is None else cached[0].id
