"""Message ids across brokers that share a server: nothing is published twice, whoever dies."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from pogo.broker.message_ids import Lifetimes
from tests.broker.child import child_broker
from tests.broker.flaky import code_of_error, repeats, under_way
from tests.broker.helpers import RunningBroker, make_settings, request, until
from tests.broker.places import Apart, Place, broker_at, ids, make_server, subscriber
from tests.servers import ServerProcess

# The lifetimes of the children are the real ones.
PENDING = Lifetimes().pending


@pytest_asyncio.fixture(name="server", params=["nats", "redis"])
async def _server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with make_server(request.param, tmp_path / "server") as server:
        yield server


@pytest.fixture(name="place")
def _place(server: ServerProcess) -> Place:
    return Place("nats" if server.name == "nats-server" else "redis", server.port)


async def until_done(*brokers: RunningBroker) -> None:
    """Wait until all that was answered is recorded."""
    await until(lambda: all(under_way(broker) == 0 for broker in brokers))


async def test_calls_at_once(place: Place) -> None:
    """Of many calls at two brokers, each id is published by one, and all are answered 0."""
    async with subscriber(place) as heard, broker_at(place) as one, broker_at(place) as other:
        calls = [
            broker.publish(request(message_id=f"m{number}"))
            for number in range(50)
            for broker in (one, other, one, other)
        ]
        replies = await asyncio.gather(*calls)
        delivered = await ids(heard, one)

        assert {0} == {reply.status for reply in replies}
        assert sorted(f"m{number}" for number in range(50)) == sorted(delivered)
        assert 150 == sum(repeats(broker, "answered") or 0 for broker in (one, other))


async def test_batches_at_once(place: Place) -> None:
    """Two batches that share some ids publish each of them once; a named one is all or nothing."""
    async with subscriber(place) as heard, broker_at(place) as one, broker_at(place) as other:
        first = [request(message_id=f"m{number}") for number in range(100)]
        second = [request(message_id=f"m{number}") for number in range(50, 150)]
        named = [request(data=str(number)) for number in range(100)]
        replies = await asyncio.gather(
            one.batch(first),
            other.batch(second),
            one.batch(named, message_id="batch"),
            other.batch(named, message_id="batch"),
        )
        delivered = await ids(heard, one)

        assert [[0] * 100] * 4 == [[reply.status for reply in each] for each in replies]
        assert 150 + 100 == len(delivered) == len(set(delivered))


async def test_a_repeat_elsewhere(place: Place) -> None:
    """What one broker has published, another one answers."""
    async with subscriber(place) as heard, broker_at(place) as one, broker_at(place) as other:
        first = await one.publish(request(message_id="m"))
        await until_done(one)
        second = await other.publish(request(message_id="m"))

        assert [0, 0] == [first.status, second.status]
        assert ["m"] == await ids(heard, other)
        assert grpc.StatusCode.ALREADY_EXISTS == await code_of_error(
            other.publish(request(data="[]", message_id="m"))
        )


async def test_a_caller_that_loses_its_connection(place: Place) -> None:
    """Whoever hangs up and turns to another broker is answered there, and nothing is doubled."""
    async with subscriber(place) as heard, broker_at(place) as one, broker_at(place) as other:
        for number in range(100):
            item = request(message_id=f"m{number}")
            call = asyncio.ensure_future(one.publish(item))
            await asyncio.sleep(0.00005 * number)
            call.cancel()
            assert 0 == (await other.publish(item)).status
        await until_done(one, other)
        delivered = await ids(heard, one)

        assert 100 == len(delivered) == len(set(delivered))


async def test_what_was_refused_may_be_tried_elsewhere(place: Place) -> None:
    """A broker that is full forgets the id before it says so."""
    full = make_settings(shard_queue_bytes=10)
    async with subscriber(place) as heard, broker_at(place, full) as one, broker_at(place) as other:
        refused = await one.publish(request(message_id="m"))
        accepted = await other.publish(request(message_id="m"))

        assert [9, 0] == [refused.status, accepted.status]
        assert ["m"] == await ids(heard, other)


@pytest.mark.chaos
async def test_a_broker_that_is_killed_behind_its_claim(place: Place) -> None:
    """While the claim lasts the repeat is 6; then the event is published, for the first time."""
    item = request(message_id="m")
    async with subscriber(place) as heard, broker_at(place) as other:
        async with child_broker(place, "kill", "claimed") as child:
            started = time.monotonic()
            assert grpc.StatusCode.UNAVAILABLE == await code_of_error(child.publish(item))
            await child.until_killed()
        first = await other.publish(item)

        assert 6 == first.status
        assert "its fate is unknown" in first.detail
        assert [] == await ids(heard, other)

        async with asyncio.timeout(2 * PENDING):
            while (await other.publish(item)).status:
                pass

        assert time.monotonic() - started > PENDING - 1
        assert ["m"] == await ids(heard, other)


@pytest.mark.chaos
async def test_a_broker_that_is_killed_before_it_records(place: Place) -> None:
    """What it has published is not published again while its claim lasts."""
    item = request(message_id="m")
    async with subscriber(place) as heard, broker_at(place) as other:
        async with child_broker(place, "kill", "published") as child:
            started = time.monotonic()
            await asyncio.gather(child.publish(item), return_exceptions=True)
            await child.until_killed()
        statuses = []
        while time.monotonic() - started < PENDING / 2:
            statuses.append((await other.publish(item)).status)

        assert {6} == set(statuses)
        assert ["m"] == await ids(heard, other)


@pytest.mark.chaos
async def test_a_broker_that_stands_still_behind_its_claim(place: Place) -> None:
    """When it goes on, another has published; it does not, and says that it was too late."""
    item = request(message_id="m")
    async with (
        subscriber(place) as heard,
        broker_at(place) as other,
        child_broker(place, "freeze", "claimed") as child,
    ):
        first = asyncio.ensure_future(child.publish(item, timeout=3 * PENDING))
        await child.until_frozen()
        async with asyncio.timeout(2 * PENDING):
            while (await other.publish(item)).status:
                pass
        child.thaw()
        late = await first

        assert 6 == late.status
        assert "not sent" in late.detail
        assert ["m"] == await ids(heard, other)
        assert 0 == (await child.publish(item)).status
        assert ["m"] == await ids(heard, other)


async def test_a_broker_that_stands_still_before_it_records(place: Place) -> None:
    """Within the claim's lifetime nothing is doubled, and then its answer is everyone's."""
    item = request(message_id="m")
    async with (
        subscriber(place) as heard,
        broker_at(place) as other,
        child_broker(place, "freeze", "published") as child,
    ):
        first = asyncio.ensure_future(child.publish(item))
        await child.until_frozen()
        unknown = await other.publish(item)
        child.thaw()
        async with asyncio.timeout(PENDING):
            while (await other.publish(item)).status:
                pass

        assert [6, 0] == [unknown.status, (await first).status]
        assert ["m"] == await ids(heard, other)


async def test_a_store_that_is_away(server: ServerProcess, place: Place) -> None:
    """Nothing is published that cannot be recorded; afterwards all is well."""
    async with broker_at(place) as broker:
        assert 0 == (await broker.publish(request(message_id="before"))).status

        server.kill()
        async with asyncio.timeout(5):
            while (await broker.publish(request(message_id="m"))).detail.find("not sent") < 0:
                pass
        await server.start()
        async with subscriber(place) as heard:
            async with asyncio.timeout(10):
                while (await broker.publish(request(message_id="m"))).status:
                    pass
            for _ in range(5):
                await broker.publish(request(message_id="m"))

            assert ["m"] == await ids(heard, broker)


async def test_records_on_a_server_that_is_frozen(tmp_path: Path) -> None:
    """With the records alone away, events with an id are 6 within a second, and not sent."""
    async with make_server("nats", tmp_path / "bus") as bus_server:
        place = Place("nats", bus_server.port)
        async with make_server("redis", tmp_path / "records") as store:
            apart = Apart("nats", bus_server.port, store.port)
            async with subscriber(place) as heard, broker_at(apart) as broker:
                store.freeze()
                started = time.monotonic()
                refused = await broker.publish(request(message_id="m"))
                lasted = time.monotonic() - started
                plain = await broker.publish(request())
                store.thaw()
                await until_done(broker)
                again = await broker.publish(request(message_id="m"))
                delivered = await ids(heard, broker)

                assert [6, 0, 0] == [refused.status, plain.status, again.status]
                assert "could not be recorded" in refused.detail
                assert refused.detail.endswith(": not sent")
                assert lasted < 1
                assert ["m"] == delivered[1:]


async def test_a_server_that_dies_during_a_load(server: ServerProcess, place: Place) -> None:
    """Callers who repeat until they read 0 have each event delivered once by each server's life.

    A server that dies forgets the records with everything else. So an event may come twice only if
    it was on its way when that happened: one for each caller.
    """
    async with broker_at(place) as one, broker_at(place) as other:
        killed = asyncio.Event()

        async def publish(caller: int) -> list[str]:
            names: list[str] = []
            while not killed.is_set():
                name = f"{caller}-{len(names)}"
                names.append(name)
                async with asyncio.timeout(20):
                    for broker in (one, other) * 1000:
                        if not (await broker.publish(request(message_id=name))).status:
                            break
            return names

        async with subscriber(place) as before:
            callers = [asyncio.create_task(publish(caller)) for caller in range(4)]
            await until(lambda: len(before) > 200)
            server.kill()
            delivered = [delivery.id for delivery in before]
            await server.start()
            async with subscriber(place) as behind:
                killed.set()
                await asyncio.gather(*callers)
                again = await ids(behind, one)

    assert len(delivered) == len(set(delivered))
    assert len(again) == len(set(again))
    assert len(set(delivered) & set(again)) <= len(callers)
