import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from pogo.bus import channel_subject
from pogo.bus.nats import NatsBus
from pogo.rpc.v1.delivery_pb2 import Delivery
from tests.broker.helpers import APP, RunningBroker, make_settings, request, running_broker, until
from tests.bus.helpers import Inbox, Status
from tests.servers import NatsServer

CALL_LIMIT = 2.0
"""Seconds: no call takes longer, whatever has happened to the bus."""


@pytest_asyncio.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@contextlib.asynccontextmanager
async def broker_on(
    nats: NatsServer, **changes: object
) -> AsyncIterator[tuple[RunningBroker, NatsBus]]:
    """Run a broker whose bus is on this server."""
    bus = NatsBus([nats.url])
    await bus.start()
    try:
        async with running_broker(bus, make_settings(**changes)) as broker:
            yield broker, bus
    finally:
        await bus.close()


async def code(broker: RunningBroker, channel: str = "news") -> int:
    """Publish one event, within the time that a call may take."""
    async with asyncio.timeout(CALL_LIMIT):
        return (await broker.publish(request(channel))).status


def queued(broker: RunningBroker) -> float | None:
    """Return how many messages wait for the bus."""
    return broker.metrics.get_sample_value("pogo_websocket_broker_queue_messages")


async def full(inbox: Inbox, count: int) -> None:
    """Wait until so many messages have arrived."""
    await until(lambda: len(inbox.payloads) >= count)


async def test_two_brokers_reach_every_edge_once(nats: NatsServer) -> None:
    """An event that any broker confirmed is at every subscriber of the server, once."""
    edges = [NatsBus([nats.url]) for _ in range(2)]
    inboxes = [Inbox() for _ in edges]
    for edge, inbox in zip(edges, inboxes, strict=True):
        await edge.start()
        edge.subscribe(channel_subject(APP.id, "news"), inbox)
        await edge.flush()
    async with broker_on(nats) as (first, _), broker_on(nats) as (second, _):
        batch = [request(message_id=str(number)) for number in range(100)]
        replies = [*await first.batch(batch), *await second.batch(batch)]
        last = await second.publish(request(message_id="last"))
    expected = sorted([str(number) for number in range(100)] * 2)
    for inbox in inboxes:
        await full(inbox, 201)
        ids = [Delivery.FromString(payload).id for payload in inbox.payloads]

        assert expected == sorted(ids[:-1])
        assert "last" == ids[-1]
    for edge in edges:
        await edge.close()

    assert {0} == {reply.status for reply in [*replies, last]}


async def test_a_frozen_server_fills_the_shards_queue(nats: NatsServer) -> None:
    """While nothing is confirmed, a hot channel's queue fills up: 9 at once, 6 for the rest."""
    async with broker_on(nats, shard_queue_size=3) as (broker, _):
        nats.freeze()
        waiting = [asyncio.create_task(code(broker)) for _ in range(3)]
        await until(lambda: queued(broker) == 3)

        assert 9 == await code(broker)
        assert 3 == queued(broker)
        assert [6, 6, 6] == await asyncio.gather(*waiting)

        nats.thaw()


async def test_a_frozen_server_fills_the_brokers_queues(nats: NatsServer) -> None:
    """Many channels that are not hot fill the broker: 8, also where a shard has room."""
    async with broker_on(nats, broker_queue_size=20, shard_queue_size=19) as (broker, _):
        nats.freeze()
        names = [f"channel-{number}" for number in range(20)]
        waiting = [asyncio.create_task(code(broker, name)) for name in names]
        await until(lambda: queued(broker) == 20)

        assert 8 == await code(broker)
        assert 8 == (await broker.broadcast('["a", "b", "c"]')).status
        assert {6} == set(await asyncio.gather(*waiting))

        nats.thaw()


async def test_large_events_fill_the_queues_too(nats: NatsServer) -> None:
    """Bytes are bounded like events."""
    async with broker_on(nats, shard_queue_bytes=500_000, broker_queue_bytes=600_000) as (
        broker,
        _,
    ):
        nats.freeze()
        large = request(data='"' + "x" * 250_000 + '"')
        waiting = asyncio.create_task(broker.publish(large))
        await until(lambda: queued(broker) == 1)

        replies = await broker.batch([large, large])
        nats.thaw()

        assert 9 == replies[1].status
        assert 0 == (await waiting).status


async def test_a_stopped_server_fails_at_once(nats: NatsServer) -> None:
    """What is in flight fails with the server, later events without a wait; then all is well."""
    async with broker_on(nats) as (broker, bus):
        status = Status(bus)

        assert 0 == await code(broker)

        nats.freeze()
        in_flight = asyncio.create_task(broker.publish(request()))
        await until(lambda: queued(broker) == 1)
        nats.kill()
        async with asyncio.timeout(0.5):
            failed = await in_flight
        await status.until(2, connected=False)
        async with asyncio.timeout(0.5):
            later = await broker.publish(request())

        assert [6, 6] == [failed.status, later.status]
        assert "the bus is not connected: not sent" == later.detail

        await nats.start()
        await status.until(2, connected=True)

        assert 0 == await code(broker)


async def test_a_broker_may_start_before_its_bus(tmp_path: Path) -> None:
    """Without a server at the start, the broker answers 6 and serves once it is there."""
    nats = NatsServer(tmp_path)
    nats.reserve_port()
    async with broker_on(nats) as (broker, bus):
        status = Status(bus)
        before = await code(broker)
        await nats.start()
        await status.until(2, connected=True)

        assert [6, 0] == [before, await code(broker)]

    await nats.stop()


async def test_a_restart_during_a_load_loses_nothing_that_was_confirmed(nats: NatsServer) -> None:
    """Whatever was answered 0 was at the server: an independent subscriber has it."""
    async with broker_on(nats) as (broker, bus):
        status = Status(bus)
        confirmed: list[str] = []
        done = asyncio.Event()

        async def publish(caller: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                batch = [request(message_id=f"{caller}-{number}-{n}") for n in range(20)]
                async with asyncio.timeout(CALL_LIMIT):
                    replies = await broker.batch(batch)
                confirmed.extend(
                    item.message_id
                    for item, reply in zip(batch, replies, strict=True)
                    if reply.status == 0
                )

        independent = NatsBus([nats.url])
        inbox = Inbox()
        await independent.start()
        independent.subscribe(channel_subject(APP.id, "news"), inbox)
        await independent.flush()
        callers = [asyncio.create_task(publish(caller)) for caller in range(4)]
        await until(lambda: len(inbox.payloads) > 200)
        nats.kill()
        await status.until(2, connected=False)
        before = set(confirmed)
        await nats.start()
        await status.until(2, connected=True)
        done.set()
        await asyncio.gather(*callers)
        received = {Delivery.FromString(payload).id for payload in inbox.payloads}
        await independent.close()

    assert set() == before - received
    assert len(before) > 100
