"""Message ids at one broker: what is repeated is published once, and answered the same."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from pogo.broker.message_ids import Lifetimes
from pogo.bus import BusError, BusRefusedError, BusUnavailableError
from pogo.bus.memory import MemoryBus
from pogo.rpc.v1 import broker_pb2
from tests.broker.flaky import FlakyRecords, code_of_error, published, queued, repeats, under_way
from tests.broker.helpers import (
    APP,
    OTHER,
    FailingBus,
    HeldBus,
    RunningBroker,
    bearer,
    listen,
    make_settings,
    memory_bus,
    request,
    running_broker,
    token,
    until,
)


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest_asyncio.fixture(name="broker")
async def _broker(bus: MemoryBus) -> AsyncIterator[RunningBroker]:
    async with running_broker(bus) as broker:
        yield broker


async def test_a_repeat_is_answered_and_not_published(
    broker: RunningBroker, bus: MemoryBus
) -> None:
    """The second call gets the first one's answer, and the bus nothing; both are counted."""
    heard = listen(bus, "news")
    item = request(message_id="m")
    first = await broker.publish(item)
    await until(lambda: under_way(broker) == 0)
    second = await broker.publish(item)

    assert broker_pb2.PublishReply() == first == second
    assert ["m"] == [delivery.id for delivery in heard]
    assert (2, 1) == (published(broker), repeats(broker, "answered"))


async def test_calls_at_once(broker: RunningBroker, bus: MemoryBus) -> None:
    """Many calls with one id have one answer, whichever is first."""
    heard = listen(bus, "news")
    replies = await asyncio.gather(*[broker.publish(request(message_id="m")) for _ in range(50)])

    assert {0} == {reply.status for reply in replies}
    assert 1 == len(heard)
    assert (50, 49) == (published(broker), repeats(broker, "answered"))


async def test_without_an_id_nothing_is_compared(broker: RunningBroker, bus: MemoryBus) -> None:
    """The same event without an id is another event, and costs no record."""
    heard = listen(bus, "news")
    for _ in range(2):
        await broker.publish(request())

    assert 2 == len(heard)


@pytest.mark.parametrize(
    "other",
    [
        request(data="[]", message_id="m"),
        request(channel="sports", message_id="m"),
        request(event="other", message_id="m"),
        request(message_id="m", socket_id="1.2"),
    ],
)
async def test_another_body(
    broker: RunningBroker, bus: MemoryBus, other: broker_pb2.PublishRequest
) -> None:
    """An id that names something else already is refused, while that is under way or done."""
    heard = [listen(bus, name) for name in ("news", "sports")]
    await broker.publish(request(message_id="m"))
    codes = [await code_of_error(broker.publish(other))]
    await until(lambda: under_way(broker) == 0)
    codes.append(await code_of_error(broker.publish(other)))

    assert [grpc.StatusCode.ALREADY_EXISTS] * 2 == codes
    assert [1, 0] == [len(deliveries) for deliveries in heard]
    assert 2 == repeats(broker, "conflict")


async def test_another_body_while_the_first_is_under_way() -> None:
    """Nobody waits for an answer that is not theirs."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus) as broker:
        first = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await bus.arrived.wait()

        assert grpc.StatusCode.ALREADY_EXISTS == await code_of_error(
            broker.publish(request(data="[]", message_id="m"))
        )

        bus.released.set()
        assert 0 == (await first).status
    await bus.close()


async def test_ids_belong_to_an_app(bus: MemoryBus) -> None:
    """Two apps may use the same id; neither learns of the other's."""
    async with running_broker(bus) as broker:
        heard = listen(bus, "news", APP), listen(bus, "news", OTHER)
        replies = [
            await broker.stub.Publish(
                request(app_id=app.id, message_id="m"), metadata=bearer(token(app)), timeout=5
            )
            for app in (APP, OTHER)
        ]

    assert [0, 0] == [reply.status for reply in replies]
    assert [1, 1] == [len(deliveries) for deliveries in heard]


@pytest.mark.parametrize(("length", "accepted"), [(128, True), (129, False)])
async def test_how_long_an_id_may_be(broker: RunningBroker, length: int, *, accepted: bool) -> None:
    """An id has 128 bytes at the most, of an event and of a batch."""
    one, two, three, four = (f"{n}{'ä' * 63}{'a' * (length - 127)}" for n in range(4))
    for call in (
        broker.publish(request(message_id=one)),
        broker.broadcast('["a"]', message_id=two),
        broker.batch([request()], message_id=three),
        broker.batch([request(), request(message_id=four)]),
    ):
        if accepted:
            await call
        else:
            assert grpc.StatusCode.INVALID_ARGUMENT == await code_of_error(call)


async def test_a_broadcast_is_one(broker: RunningBroker, bus: MemoryBus) -> None:
    """One id stands for all channels."""
    heard = [listen(bus, name) for name in ("a", "b")]
    replies = [await broker.broadcast('["a", "b"]', message_id="m") for _ in range(2)]

    assert [0, 0] == [reply.status for reply in replies]
    assert [1, 1] == [len(deliveries) for deliveries in heard]
    assert grpc.StatusCode.ALREADY_EXISTS == await code_of_error(
        broker.broadcast('["b", "a"]', message_id="m")
    )


async def test_a_batch_of_events_with_ids(broker: RunningBroker, bus: MemoryBus) -> None:
    """Each id counts by itself, also twice in one batch; the others are published every time."""
    heard = listen(bus, "news")
    await broker.publish(request(data="1", message_id="b"))
    batch = [
        request(data="0", message_id="a"),
        request(data="1", message_id="b"),
        request(data="2"),
        request("a b", data="3", message_id="c"),
        request(data="0", message_id="a"),
        request(data="4"),
    ]
    replies = [await broker.batch(batch) for _ in range(2)]

    assert [[0, 0, 0, 2, 0, 0]] * 2 == [[reply.status for reply in each] for each in replies]
    assert ["1", "0", "2", "4", "2", "4"] == [
        delivery.payload.decode()[-3:-2] for delivery in heard
    ]
    assert (13, 5) == (published(broker), repeats(broker, "answered"))


@pytest.mark.parametrize("again", [True, False])
async def test_a_batch_with_a_conflict(
    broker: RunningBroker, bus: MemoryBus, *, again: bool
) -> None:
    """It is refused as a whole: nothing is published, and the other ids are free again."""
    heard = listen(bus, "news")
    await broker.publish(request(data="1", message_id="b"))
    await until(lambda: under_way(broker) == 0)
    batch = [request(data="0", message_id="a"), request(data="2", message_id="b"), request()]
    if again:
        batch[1] = request(data="9", message_id="a")

    assert grpc.StatusCode.ALREADY_EXISTS == await code_of_error(broker.batch(batch))
    assert 1 == len(heard)
    assert 0 == (await broker.publish(request(data="7", message_id="a"))).status


async def test_a_batch_behind_a_call_that_is_under_way() -> None:
    """Events without an id do not wait for one that another call has to publish."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus) as broker:
        first = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await bus.arrived.wait()
        batch = asyncio.ensure_future(broker.batch([request(message_id="m"), request("other")]))
        await until(lambda: queued(broker) == 2)
        bus.released.set()

        assert [0, 0] == [reply.status for reply in await batch]
        assert 0 == (await first).status
        assert 2 == sum(len(messages) for messages in bus.batches)
    await bus.close()


async def test_a_named_batch(broker: RunningBroker, bus: MemoryBus) -> None:
    """A batch that has an id is published once, and repeated with the same statuses."""
    heard = listen(bus, "news")
    batch = [request(data="1"), request("a b"), request(data="2", message_id="own")]
    replies = []
    for _ in range(2):
        replies.append(await broker.batch(batch, message_id="batch"))
        await until(lambda: under_way(broker) == 0)
    # The id of an event within it only travels with it.
    alone = await broker.publish(request(data="2", message_id="own"))

    assert [[0, 2, 0]] * 2 == [[reply.status for reply in each] for each in replies]
    assert "so it was answered to the first call with this message_id" == replies[1][1].detail
    assert 0 == alone.status
    assert 3 == len(heard)
    assert grpc.StatusCode.ALREADY_EXISTS == await code_of_error(
        broker.batch(batch[:2], message_id="batch")
    )


async def test_a_named_batch_costs_one_record(bus: MemoryBus) -> None:
    """However many events it has, there is one claim and one answer."""
    records = FlakyRecords()
    async with running_broker(bus, records=records) as broker:
        await broker.batch([request()] * 100, message_id="batch")
        await until(lambda: under_way(broker) == 0)

    assert 2 == len(records.writes)


async def test_an_empty_batch_with_an_id(broker: RunningBroker) -> None:
    """Nothing is published at most once, too."""
    assert [] == await broker.batch([], message_id="batch")


async def test_what_was_not_published_may_be_tried_again() -> None:
    """A full queue is no answer for ever: the same id succeeds as soon as there is room."""
    bus = HeldBus()
    await bus.start()
    heard = listen(bus, "news")
    async with running_broker(bus, make_settings(shard_queue_size=1)) as broker:
        first = asyncio.ensure_future(broker.publish(request()))
        await bus.arrived.wait()
        full = await broker.publish(request(message_id="m"))
        bus.released.set()
        await first
        again = await broker.publish(request(message_id="m"))

    assert [9, 0] == [full.status, again.status]
    assert 2 == len(heard)
    await bus.close()


@pytest.mark.parametrize(
    ("error", "again"), [(BusRefusedError("no permission"), 0), (BusUnavailableError("cut"), 6)]
)
async def test_a_bus_that_fails(error: BusError, again: int) -> None:
    """What it refused may be tried at once; what it did not confirm only when the claim ends."""
    bus = FailingBus(error)
    await bus.start()
    heard = listen(bus, "news")
    async with running_broker(bus, lifetimes=Lifetimes(pending=1)) as broker:
        first = await broker.publish(request(message_id="m"))
        second = await broker.publish(request(message_id="m"))

        assert [6, again] == [first.status, second.status]

        async with asyncio.timeout(5):
            while (await broker.publish(request(message_id="m"))).status:
                pass
        await broker.publish(request(message_id="m"))

        assert 1 == len(heard)
    await bus.close()


async def test_a_broadcast_that_was_refused_in_part() -> None:
    """Where one channel failed for certain, another may have the event: that is doubt."""
    bus = FailingBus(BusRefusedError("no permission"))
    await bus.start()
    heard = [listen(bus, name) for name in "abcdefgh"]
    async with running_broker(bus, make_settings(num_workers=2)) as broker:
        replies = [
            await broker.broadcast('["a","b","c","d","e","f","g","h"]', message_id="m")
            for _ in range(2)
        ]

    assert [6, 6] == [reply.status for reply in replies]
    assert {0, 1} == {len(deliveries) for deliveries in heard}
    await bus.close()


async def test_a_caller_that_hangs_up() -> None:
    """Its event is published and recorded all the same: the repeat finds it done."""
    held = HeldBus()
    await held.start()
    heard = listen(held, "news")
    async with running_broker(held) as broker:
        call = broker.stub.Publish(request(message_id="m"), metadata=bearer(token()))
        await held.arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        repeat = asyncio.ensure_future(broker.publish(request(message_id="m")))
        held.released.set()

        assert 0 == (await repeat).status
        assert 1 == len(heard)
    await held.close()


async def test_a_caller_that_hangs_up_before_the_claim(bus: MemoryBus) -> None:
    """A call that has come is carried out, however early its caller goes."""
    heard = listen(bus, "news")
    async with running_broker(bus) as broker:
        for number in range(50):
            call = broker.stub.Publish(request(message_id=f"{number}"), metadata=bearer(token()))
            await asyncio.sleep(0.0001 * number)
            call.cancel()
        replies = [await broker.publish(request(message_id=f"{number}")) for number in range(50)]

    assert {0} == {reply.status for reply in replies}
    assert sorted(str(number) for number in range(50)) == sorted(d.id for d in heard)
