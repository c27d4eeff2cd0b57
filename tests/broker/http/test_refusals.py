import asyncio
import json

import pytest

from pogo.bus import Bus
from pogo.bus.memory import MemoryBus
from pogo.registry.memory import MemoryRegistry
from tests.broker.helpers import HeldBus, listen, memory_bus, until
from tests.broker.http.helpers import (
    BATCH,
    EVENTS,
    Api,
    Backend,
    connect,
    item,
    running_api,
    trigger,
)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is not JSON text"),
        (b"{", "the body is not JSON text"),
        (b"\xff", "the body is not JSON text"),
        (b'{"name":"a","channel":"b","data":"\\ud800"}', "the body is not JSON text"),
        (b"[]", "the body is not what it should be: Expected `object`"),
        (b"null", "the body is not what it should be: Expected `object`"),
        (b'{"x":' + b"[" * 100_000 + b"}", "the body is nested too deeply"),
        (trigger(name=None), "the body is not what it should be: Object missing required field"),
        (trigger(data=None), "the body is not what it should be: Object missing required field"),
        (trigger(data={"a": 1}), "the body is not what it should be: Expected `str`"),
        (trigger(data=1), "the body is not what it should be: Expected `str`"),
        (trigger(name=1), "the body is not what it should be: Expected `str`"),
        (trigger(channels="news"), "the body is not what it should be: Expected `array"),
        (trigger(channels=[1]), "the body is not what it should be: Expected `str`"),
        (trigger(channels=None), "the body names no channel"),
        (trigger(channel="b"), "the body has both `channel` and `channels`"),
        (trigger(socket_id="1"), "socket_id is not two numbers"),
        (trigger(socket_id="1.2.3"), "socket_id is not two numbers"),
        (trigger(socket_id="1.2\n"), "socket_id is not two numbers"),
        (trigger(socket_id="\u0661.\u0662"), "socket_id is not two numbers"),
        (trigger(socket_id=f"{'1' * 21}.2"), "socket_id is not two numbers"),
        (trigger(info="cache"), "info has 'cache'; there is"),
        (trigger(info="user_count,nonsense"), "info has 'nonsense'; there is"),
    ],
)
async def test_what_is_no_event_is_400(backend: Backend, body: object, error: str) -> None:
    """A sentence says what is wrong; there is no code, since the publisher was not asked."""
    reply = await backend.post(EVENTS, body)

    assert 400 == reply.status
    assert reply.body["error"].startswith(error)
    assert ["error"] == list(reply.body)


@pytest.mark.parametrize(
    ("event", "status", "code", "name"),
    [
        (trigger(channels=["a b"]), 400, 2, "CHANNEL_TOO_LONG"),
        (trigger(channels=[""]), 400, 2, "CHANNEL_TOO_LONG"),
        (trigger(channels=["a" * 201]), 400, 2, "CHANNEL_TOO_LONG"),
        (trigger(channels=["#other"]), 400, 2, "CHANNEL_TOO_LONG"),
        (trigger(name=""), 400, 3, "EVENT_TOO_LONG"),
        (trigger(name="a" * 201), 400, 3, "EVENT_TOO_LONG"),
        (trigger(data="a" * 1001), 413, 4, "PAYLOAD_TOO_LARGE"),
        (trigger(data="ü" * 501), 413, 4, "PAYLOAD_TOO_LARGE"),
        (trigger(channels=[]), 400, 7, "INVALID_MULTI_CHANNEL_JSON"),
        (trigger(channels=[f"c{n}" for n in range(101)]), 400, 7, "INVALID_MULTI_CHANNEL_JSON"),
        (trigger(channels=["a", "private-encrypted-b"]), 400, 7, "INVALID_MULTI_CHANNEL_JSON"),
        (
            trigger(channels=["a", "private-encrypted-cache-b"]),
            400,
            7,
            "INVALID_MULTI_CHANNEL_JSON",
        ),
    ],
)
async def test_what_the_publisher_refuses(
    event: dict[str, object], status: int, code: int, name: str
) -> None:
    """The answer has the publisher's code and its name beside the sentence."""
    async with memory_bus() as bus, running_api(bus, max_payload=1000) as api:
        reply = await api.backend.post(EVENTS, event)

    assert status == reply.status
    assert (code, name) == (reply.body["code"], reply.body["status"])
    assert reply.body["error"]


async def test_a_batch_is_judged_before_any_of_it_is_published(backend: Backend, bus: Bus) -> None:
    """One bad event keeps all back, and the answer says which it is."""
    heard = listen(bus, "news")
    await bus.flush()
    bad = await backend.post(BATCH, {"batch": [item(), item(), item(channel="a b"), item(name="")]})
    many = await backend.post(BATCH, {"batch": [item()] * 11})
    broken = await backend.post(BATCH, {"batch": [item(), item(data=None)]})
    alone = await backend.post(BATCH, item())
    socket = await backend.post(BATCH, {"batch": [item(socket_id="x")]})
    await backend.post(EVENTS, trigger(name="last"))
    await until(lambda: bool(heard))

    assert (400, 2, 2) == (bad.status, bad.body["code"], bad.body["index"])
    assert bad.body["error"].startswith("event 2 of the batch: a channel name is made of")
    assert (400, "a batch has at most 10 events, not 11") == many.error
    assert [400, 400, 400] == [each.status for each in (broken, alone, socket)]
    assert "$.batch[1]" in broken.body["error"]
    assert ["last"] == [json.loads(each.payload)["event"] for each in heard]


async def test_a_batch_that_the_bus_cannot_take(api: Api, bus: Bus) -> None:
    """An event that grows beyond what the bus takes keeps all of its batch back, too."""
    heard = listen(bus, "news")
    await bus.flush()
    body = json.dumps({"batch": [item(), item(data="\x01" * 200_000)]}).encode()
    async with connect(api) as raw:
        raw.head(f"Content-Length: {len(body)}", body=body, path=BATCH)
        raw.writer.write(body)
        status, answer = await raw.answer()
    await api.backend.post(EVENTS, trigger(name="last"))
    await until(lambda: bool(heard))

    assert 413 == status
    assert answer.startswith(b'{"error":"event 1 of the batch: as it travels, the event has 12')
    assert ["last"] == [json.loads(each.payload)["event"] for each in heard]


async def test_the_bus_is_away() -> None:
    """What cannot be published now is 503 with code 6, and may be tried again in a second."""
    bus = MemoryBus()
    async with running_api(bus) as api:
        reply = await api.backend.post(EVENTS, trigger())
        batch = await api.backend.post(BATCH, {"batch": [item()]})

    assert (503, 6, "BROKER_PUBLISH_FAILED") == (
        reply.status,
        reply.body["code"],
        reply.body["status"],
    )
    assert (503, 6, 0) == (batch.status, batch.body["code"], batch.body["index"])
    assert "1" == reply.headers["Retry-After"]


async def test_no_edge_is_alive() -> None:
    """Where certainly nobody would receive it, the answer is 503 with code 1."""
    async with memory_bus() as bus, running_api(bus, registry=MemoryRegistry()) as api:
        edges = api.broker.server._live_edges  # noqa: SLF001 (it takes seconds to be certain)
        await until(edges.none_alive, within=30)
        reply = await api.backend.post(EVENTS, trigger())

    assert (503, 1, "HUB_MISSING") == (reply.status, reply.body["code"], reply.body["status"])


async def test_queues_are_full() -> None:
    """A full queue is 503 with its code, 9 for the channel's and 8 for the broker's."""
    bus = HeldBus()
    await bus.start()
    async with running_api(bus, shard_queue_size=1, broker_queue_size=2, num_shards=8) as api:
        waiting = asyncio.gather(
            *(api.backend.post(EVENTS, trigger(channels=[name])) for name in ("a", "b"))
        )
        sample = "pogo_websocket_broker_queue_messages"
        await until(lambda: api.broker.metrics.get_sample_value(sample) == 2)
        hot = await api.backend.post(EVENTS, trigger(channels=["a"]))
        full = await api.backend.post(EVENTS, trigger(channels=["e"]))
        bus.released.set()
        first = await waiting
    await bus.close()

    assert (503, 9, "1") == (hot.status, hot.body["code"], hot.headers["Retry-After"])
    assert (503, 8, "1") == (full.status, full.body["code"], full.headers["Retry-After"])
    assert [200, 200] == [each.status for each in first]


async def test_a_queue_fills_up_in_a_batch() -> None:
    """What was queued is published, and the answer is about what was not."""
    async with memory_bus() as bus, running_api(bus, shard_queue_size=1) as api:
        heard = listen(bus, "news")
        reply = await api.backend.post(BATCH, {"batch": [item(name="first"), item(name="second")]})

    assert (503, 9, 1) == (reply.status, reply.body["code"], reply.body["index"])
    assert reply.body["error"].startswith("event 1 of the batch: ")
    assert ["first"] == [json.loads(each.payload)["event"] for each in heard]


async def test_a_batch_is_answered_with_the_worst() -> None:
    """An event in doubt counts before one that was certainly not published."""
    bus = HeldBus()
    await bus.start()
    sample = "pogo_websocket_broker_queue_messages"
    async with running_api(bus, shard_queue_size=1) as api:
        first = asyncio.create_task(api.backend.post(EVENTS, trigger(channels=["a"])))
        await bus.arrived.wait()
        items = [item(channel="a"), item(channel="b")]
        batch = asyncio.create_task(api.backend.post(BATCH, {"batch": items}))
        await until(lambda: api.broker.metrics.get_sample_value(sample) == 2)
        await api.broker.server.publisher.stop()
        reply = await batch
        assert 503 == (await first).status
    await bus.close()

    assert (503, 6, 1) == (reply.status, reply.body["code"], reply.body["index"])
