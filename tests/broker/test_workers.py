import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from zlib import crc32

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pogo.broker import workers
from pogo.broker.apps import AppDirectory
from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.status import Outcome
from pogo.broker.workers import BATCH_BYTES, BATCH_MESSAGES, MAX_WAIT, QUIET_TURNS
from pogo.bus import Bus, BusError, Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.rpc.v1.status import StatusCode
from tests.broker.helpers import APP, FixedEdges, HeldBus, listen, make_settings, memory_bus


class FaultyBus(MemoryBus):
    """A memory bus that has a bug at first."""

    faults = 1

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Fail, in a way that no adapter should."""
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a bug")
        return await super().publish(messages)


class Running:
    """A publisher and what it counts."""

    def __init__(self, bus: Bus, **changes: object) -> None:
        self.registry = CollectorRegistry()
        self.publisher = Publisher(
            make_settings(**changes),
            apps=AppDirectory([APP]),
            bus=bus,
            live_edges=FixedEdges(alive=True),
            metrics=BrokerMetrics(self.registry),
        )

    def publish(self, *events: Event) -> asyncio.Task[list[Outcome]]:
        """Begin to publish."""
        return asyncio.create_task(self.publisher.publish(events, json_data=True))

    def dropped(self) -> dict[str, float]:
        """Return how many messages were dropped, by reason, where any were."""
        name = "pogo_websocket_broker_dropped_messages_total"
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == name]
        return {s.labels["reason"]: s.value for s in samples if s.value}


@contextlib.asynccontextmanager
async def running(bus: MemoryBus, **changes: object) -> AsyncIterator[Running]:
    """Run a publisher on a bus that is started here."""
    await bus.start()
    broker = Running(bus, **changes)
    broker.publisher.start()
    try:
        yield broker
    finally:
        await broker.publisher.stop()
        await bus.close()


def event(data: str = "{}", *channels: str) -> Event:
    """Make an event."""
    return Event(APP.id, channels or ("news",), "headline", data)


def codes(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the codes alone."""
    return [int(outcome.status) for outcome in outcomes]


def other_shard(channel: str) -> str:
    """Name a channel that two shards keep apart from this one."""
    numbers = (f"channel-{number}" for number in itertools.count())
    return next(name for name in numbers if parity(name) != parity(channel))


def parity(channel: str) -> int:
    """Tell which of two shards a channel uses."""
    return crc32(channel_subject(APP.id, channel).encode()) % 2


async def test_what_is_queued_meanwhile_is_one_batch() -> None:
    """While the bus confirms one batch, the next one gathers: group commit."""
    bus = HeldBus()
    async with running(bus, num_workers=1) as broker:
        first = broker.publish(event())
        await bus.arrived.wait()
        rest = [broker.publish(event("1"), event("2")) for _ in range(10)]
        await asyncio.sleep(0)
        bus.released.set()

        assert [0] == codes(await first)
        assert [[0, 0]] * 10 == [codes(outcomes) for outcomes in await asyncio.gather(*rest)]
        assert [1, 20] == [len(batch) for batch in bus.batches]


async def test_calls_that_come_in_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """While several callers publish, a batch waits for those whose calls the loop is taking."""
    monkeypatch.setattr(workers, "GATHER", 60)
    bus = HeldBus()
    async with running(bus, num_workers=1) as broker:
        calls = [broker.publish(event())]
        await bus.arrived.wait()
        calls.append(broker.publish(event()))
        await asyncio.sleep(0)
        bus.released.set()
        await calls[0]
        for _ in range(3):
            for _ in range(QUIET_TURNS // 2):
                await asyncio.sleep(0)
            calls.append(broker.publish(event()))

        assert [[0]] * 5 == [codes(outcomes) for outcomes in await asyncio.gather(*calls)]
        assert [1, 4] == [len(batch) for batch in bus.batches]


async def test_nobody_waits_who_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who publishes one event after the other waits for nobody else's."""
    monkeypatch.setattr(workers, "GATHER", 60)
    monkeypatch.setattr(workers, "QUIET_TURNS", 1_000_000_000)
    async with memory_bus() as bus, running(bus) as broker, asyncio.timeout(10):
        for _ in range(3):
            assert [0, 0] == codes(await broker.publish(event(), event()))


async def test_a_batch_waits_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the loop is, what was handed in is published soon."""
    monkeypatch.setattr(workers, "QUIET_TURNS", 1_000_000_000)
    async with memory_bus() as bus, running(bus) as broker, asyncio.timeout(10):
        for _ in range(3):
            calls = [broker.publish(event()) for _ in range(2)]

            assert [[0], [0]] == [codes(outcomes) for outcomes in await asyncio.gather(*calls)]


async def test_each_event_has_an_id() -> None:
    """Of the events of one publisher, each has an id that no other has."""
    async with memory_bus() as bus:
        heard = listen(bus, "news")
        async with running(bus) as broker:
            await broker.publish(*[event()] * 3)
            await broker.publish(event())

    assert 4 == len({delivery.id for delivery in heard})


async def test_order_is_kept_per_channel() -> None:
    """However events are spread over calls, workers and batches, each channel has its order."""
    async with memory_bus() as bus:
        heard = {name: listen(bus, name) for name in ("a", "b", "c")}
        async with running(bus, num_workers=3, broker_queue_size=5000) as broker:
            calls = [
                broker.publish(
                    *[event(str(10 * call + n), name) for n in range(10) for name in heard]
                )
                for call in range(50)
            ]
            outcomes = await asyncio.gather(*calls)

        assert {0} == {code for answer in outcomes for code in codes(answer)}
        for name, deliveries in heard.items():
            payloads = [
                b'{"event":"headline","channel":"%b","data":"%d"}' % (name.encode(), n)
                for n in range(500)
            ]

            assert payloads == [delivery.payload for delivery in deliveries]


async def test_batches_are_bounded() -> None:
    """Neither many nor large messages make a batch without end; none is left behind."""
    bus = HeldBus()
    bus.released.set()
    large = event('"' + "x" * 200_000 + '"')
    async with running(bus, broker_queue_size=5000, shard_queue_size=5000) as broker:
        many = await broker.publish(*[event()] * (BATCH_MESSAGES + 1))
        heavy = await broker.publish(*[large] * 50)

    assert {0} == {*codes(many), *codes(heavy)}
    assert [BATCH_MESSAGES, 1] == [len(batch) for batch in bus.batches[:2]]
    sizes = [sum(len(message.payload) for message in batch) for batch in bus.batches[2:]]
    assert len(sizes) > 1
    assert max(sizes) < BATCH_BYTES + 200_200
    assert sum(sizes) > 50 * 200_000


async def test_every_shard_gets_its_turn() -> None:
    """A channel whose queue is always full does not keep the others waiting."""
    bus = HeldBus()
    async with running(
        bus, num_workers=1, num_shards=2, broker_queue_size=5000, shard_queue_size=5000
    ) as broker:
        first = broker.publish(event())
        await bus.arrived.wait()
        hot = broker.publish(*[event()] * (3 * BATCH_MESSAGES))
        quiet = broker.publish(event("{}", other_shard("news")))
        await asyncio.sleep(0)
        bus.released.set()
        await asyncio.gather(first, hot, quiet)

    subject = channel_subject(APP.id, other_shard("news"))
    turns = [subject in {message.subject for message in batch} for batch in bus.batches]

    assert True in turns[1:3]
    assert len(turns) > 3


async def test_what_waited_too_long_is_not_sent() -> None:
    """Behind a bus that takes half a second, an event is answered 6 without being published."""
    bus = HeldBus()
    async with running(bus, num_workers=1) as broker:
        first = broker.publish(event())
        await bus.arrived.wait()
        late = broker.publish(event("1"))
        await asyncio.sleep(MAX_WAIT + 0.05)
        bus.released.set()

        assert [0] == codes(await first)
        assert [
            Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the bus is too slow: not sent")
        ] == await late
        assert 1 == len(bus.batches)
        assert {"late": 1} == broker.dropped()


async def test_a_worker_that_dies_is_replaced() -> None:
    """A bug fails the batch in flight, is logged once, and the next event is published."""
    async with running(FaultyBus()) as broker:
        with capture_logs() as logs:
            failed = await broker.publish(event(), event("1", "b"))
            served = await broker.publish(event())

        assert 6 in codes(failed)
        assert [0] == codes(served)
        assert ["publish worker died and is started again"] == [entry["event"] for entry in logs]
        assert {"worker_died"} == set(broker.dropped())


async def test_what_was_queued_survives_a_dead_worker() -> None:
    """The worker's successor goes on with what was not in flight, without waiting for more."""
    # Captured, since to write the traceback takes about as long as events may wait.
    with capture_logs():
        async with running(FaultyBus(), broker_queue_size=5000, shard_queue_size=5000) as broker:
            outcomes = await broker.publish(*[event()] * (BATCH_MESSAGES + 1))

    assert [6] * BATCH_MESSAGES + [0] == codes(outcomes)


async def test_a_cancelled_caller_harms_nobody() -> None:
    """A caller that gives up takes nothing back, and the rest of its batch is answered."""
    bus = HeldBus()
    heard = listen(bus, "news")
    async with running(bus) as broker:
        given_up = broker.publish(event("1"))
        patient = broker.publish(event("2"))
        await bus.arrived.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        bus.released.set()

        assert [0] == codes(await patient)
        assert given_up.cancelled()
        assert 2 == len(heard)


async def test_more_workers_than_shards() -> None:
    """Workers without a shard are not started."""
    async with running(MemoryBus(), num_workers=5, num_shards=2) as broker:
        names = [f"channel-{number}" for number in range(20)]

        assert [0] * 20 == codes(await broker.publish(*[event("{}", name) for name in names]))


async def test_a_stop_answers_everybody() -> None:
    """What is in flight or queued when the workers stop is failed; later events are not taken."""
    bus = HeldBus()
    async with running(bus, num_workers=1) as broker:
        in_flight = broker.publish(event())
        await bus.arrived.wait()
        queued = broker.publish(event())
        await asyncio.sleep(0)
        await broker.publisher.drain(0.01)
        await broker.publisher.stop()
        await broker.publisher.stop()

        assert [6] == codes(await in_flight)
        assert [6] == codes(await queued)
        assert [6] == codes(await broker.publish(event()))
        assert {"shutdown": 3} == broker.dropped()


@pytest.mark.parametrize("number", [1, 500])
async def test_a_drain_waits_for_all(number: int) -> None:
    """Draining returns once the bus has confirmed everything that was accepted."""
    bus = HeldBus()
    async with running(bus) as broker:
        calls = broker.publish(*[event()] * number)
        await bus.arrived.wait()
        draining = asyncio.create_task(broker.publisher.drain(5))
        await asyncio.sleep(0)

        assert not draining.done()

        bus.released.set()
        await draining

        assert [0] * number == codes(await calls)
