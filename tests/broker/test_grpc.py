import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import SecretStr
from structlog.testing import capture_logs

from pogo.bus.memory import MemoryBus
from pogo.cluster import Timing
from pogo.registry.memory import MemoryRegistry
from pogo.rpc.v1 import broker_pb2
from tests.broker.helpers import (
    APP,
    DISABLED,
    OTHER,
    HeldBus,
    RunningBroker,
    bearer,
    listen,
    living_edge,
    make_settings,
    memory_bus,
    request,
    running_broker,
    token,
    until,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest_asyncio.fixture(name="broker")
async def _broker(bus: MemoryBus) -> AsyncIterator[RunningBroker]:
    async with running_broker(bus) as broker:
        yield broker


async def health(broker: RunningBroker, service: str = "") -> int:
    """Ask the standard health service."""
    stub = health_pb2_grpc.HealthStub(broker.channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return int(reply.status)


def waiting(broker: RunningBroker) -> float | None:
    """Return how many messages wait for the bus."""
    return broker.metrics.get_sample_value("pogo_websocket_broker_queue_messages")


async def test_publish(broker: RunningBroker, bus: MemoryBus) -> None:
    """An event is on the bus when its caller reads success."""
    heard = listen(bus, "news")
    reply = await broker.publish(
        request(data='{"title":"Hello"}', socket_id="1.2", message_id="message-7")
    )

    assert broker_pb2.PublishReply(status=broker_pb2.STATUS_SUCCESS) == reply
    [delivery] = heard
    assert rb'{"event":"headline","channel":"news","data":"{\"title\":\"Hello\"}"}' == (
        delivery.payload
    )
    assert ("1.2", "message-7") == (delivery.except_socket_id, delivery.id)


async def test_broadcast(broker: RunningBroker, bus: MemoryBus) -> None:
    """An event reaches all channels of the array."""
    heard = [listen(bus, name) for name in ("a", "b", "c")]
    reply = await broker.broadcast('["a", "b"]')

    assert broker_pb2.STATUS_SUCCESS == reply.status
    assert [1, 1, 0] == [len(deliveries) for deliveries in heard]


@pytest.mark.parametrize(
    "channels",
    [
        "",
        "a",
        "[]",
        '["a", 1]',
        '["a", "private-encrypted-b"]',
        "[" + ",".join(f'"channel-{number}"' for number in range(101)) + "]",
    ],
)
async def test_channels_that_are_no_array(broker: RunningBroker, channels: str) -> None:
    """What is not an array of names that may go together is code 7."""
    reply = await broker.broadcast(channels)

    assert broker_pb2.STATUS_INVALID_MULTI_CHANNEL_JSON == reply.status
    assert reply.detail


async def test_a_batch_has_a_status_for_each_event(broker: RunningBroker, bus: MemoryBus) -> None:
    """The replies are in the order of the events; the bad ones do not keep the good ones back."""
    heard = listen(bus, "news")
    replies = await broker.batch(
        [
            request(data="1"),
            request(app_id="nobody"),
            request("a b"),
            request(event=""),
            request(data='"' + "x" * 262_144 + '"'),
            request(data="hello"),
            request(data="2"),
        ]
    )

    assert [0, 1, 2, 3, 4, 5, 0] == [reply.status for reply in replies]
    assert [False, True, True, True, True, True, False] == [bool(r.detail) for r in replies]
    assert [b"1", b"2"] == [delivery.payload[-3:-2] for delivery in heard]


async def test_a_batch_of_five_hundred(broker: RunningBroker, bus: MemoryBus) -> None:
    """Hundreds of events in one call keep their order."""
    heard = listen(bus, "news")
    replies = await broker.batch([request(data=str(number)) for number in range(500)])

    assert [0] * 500 == [reply.status for reply in replies]
    assert [b'"%d"}' % number for number in range(500)] == [
        delivery.payload.partition(b'"data":')[2] for delivery in heard
    ]


async def test_an_empty_batch(broker: RunningBroker) -> None:
    """Nothing to publish is nothing to answer."""
    assert [] == await broker.batch([])


async def test_a_batch_that_is_too_long(bus: MemoryBus) -> None:
    """More than `max_batch` events are refused as a whole."""
    async with running_broker(bus, make_settings(max_batch=2)) as broker:
        heard = listen(bus, "news")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broker.batch([request()] * 3)

    assert grpc.StatusCode.INVALID_ARGUMENT == caught.value.code()
    assert "a batch has at most 2 events, not 3" == caught.value.details()
    assert [] == heard


async def test_a_huge_batch_of_a_stranger(broker: RunningBroker) -> None:
    """Nothing is done for the events of a call without a token: there may be millions."""
    events = broker_pb2.PublishBatchRequest.FromString(b"\x0a\x00" * 500_000)
    before = time.process_time()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broker.stub.PublishBatch(events, timeout=10)

    assert grpc.StatusCode.UNAUTHENTICATED == caught.value.code()
    # Serializing and parsing take a fraction of it; an object for each event took seconds.
    assert time.process_time() - before < 1


@pytest.mark.parametrize("app_id", ["nobody", ""])
async def test_an_unknown_app(broker: RunningBroker, app_id: str) -> None:
    """An app id that nobody has is code 1, as callers have always known it."""
    assert broker_pb2.STATUS_HUB_MISSING == (await broker.publish(request(app_id=app_id))).status


async def test_a_disabled_app(broker: RunningBroker) -> None:
    """An app that is switched off has no hub, though its token is good."""
    reply = await broker.stub.Publish(
        request(app_id=DISABLED.id), metadata=bearer(token(DISABLED)), timeout=5
    )

    assert broker_pb2.STATUS_HUB_MISSING == reply.status


async def test_without_a_live_edge(bus: MemoryBus) -> None:
    """In one process, an edge that has stopped is code 1; until then events are taken."""
    registry, quick = MemoryRegistry(), Timing(beat=0.05, dead_after=0.2)
    async with running_broker(bus, registry=registry, timing=quick) as broker:
        async with living_edge(registry, quick):
            before = [(await broker.publish(request())).status for _ in range(100)]
        async with asyncio.timeout(5):
            while not (after := await broker.publish(request())).status:
                pass

    assert [0] * 100 == before
    assert (1, "no edge is alive") == (after.status, after.detail)


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED, "no authorization metadata"),
        (bearer("garbage"), grpc.StatusCode.UNAUTHENTICATED, "not a JWT"),
        (bearer(token(secret="x" * 40)), grpc.StatusCode.UNAUTHENTICATED, "not signed with"),
        (bearer(token(aud="pogo-edge")), grpc.StatusCode.UNAUTHENTICATED, "aud is not"),
        (
            bearer(token(exp=int(time.time()) - 31)),
            grpc.StatusCode.UNAUTHENTICATED,
            "has expired",
        ),
        (bearer(token(algorithm="none")), grpc.StatusCode.UNAUTHENTICATED, "alg"),
        (
            # It is signed when tests are collected, and used when their turn comes.
            bearer(token(OTHER, exp=int(time.time()) + 3000)),
            grpc.StatusCode.PERMISSION_DENIED,
            "not for the app shop",
        ),
    ],
)
async def test_callers_that_are_turned_away(
    broker: RunningBroker,
    bus: MemoryBus,
    metadata: tuple[tuple[str, str], ...],
    code: grpc.StatusCode,
    reason: str,
) -> None:
    """No method does anything for a caller without a good token, and nobody logs it."""
    heard = listen(bus, "news")
    batch = broker_pb2.PublishBatchRequest(events=[request()])
    multi = broker_pb2.BroadcastMultiRequest(app_id=APP.id, channels='["news"]', event="e")
    with capture_logs() as logs:
        for call in (
            broker.stub.Publish(request(), metadata=metadata, timeout=5),
            broker.stub.BroadcastMulti(multi, metadata=metadata, timeout=5),
            broker.stub.PublishBatch(batch, metadata=metadata, timeout=5),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call

            assert code == caught.value.code()
            assert reason in (caught.value.details() or "")

    assert [] == heard
    assert [] == logs


async def test_a_batch_for_two_apps(broker: RunningBroker, bus: MemoryBus) -> None:
    """One event for another app refuses the batch as a whole."""
    heard = listen(bus, "news")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broker.batch([request(), request(app_id=OTHER.id)])

    assert grpc.StatusCode.PERMISSION_DENIED == caught.value.code()
    assert [] == heard


async def test_the_previous_secret(broker: RunningBroker) -> None:
    """A caller that has not heard of the new secret yet is still served."""
    assert APP.previous_secret is not None
    text = token(secret=APP.previous_secret.get_secret_value())
    reply = await broker.stub.Publish(request(), metadata=bearer(text), timeout=5)

    assert broker_pb2.STATUS_SUCCESS == reply.status


async def test_apps_can_be_replaced(broker: RunningBroker) -> None:
    """After a reload the new apps are served, and the old tokens are not."""
    assert 0 == (await broker.publish(request())).status

    changed = APP.model_copy(update={"secret": SecretStr("n" * 40), "previous_secret": None})
    broker.server.replace_apps([changed])
    reply = await broker.stub.Publish(request(), metadata=bearer(token(changed)), timeout=5)

    assert 0 == reply.status
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broker.publish(request())
    assert grpc.StatusCode.UNAUTHENTICATED == caught.value.code()


async def test_how_large_a_call_may_be(broker: RunningBroker) -> None:
    """Data up to sixteen times the limit is code 4; more is refused while it arrives."""
    over = await broker.publish(request(data='"' + "x" * (15 * 262_144) + '"'))

    assert broker_pb2.STATUS_PAYLOAD_TOO_LARGE == over.status
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broker.publish(request(data='"' + "x" * (16 * 262_144) + '"'))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert "larger than max" in (caught.value.details() or "")


async def test_a_compressed_call_is_no_larger(broker: RunningBroker) -> None:
    """What is small on the wire and large in memory is refused too."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broker.stub.Publish(
            request(data="x" * (64 * 262_144)),
            metadata=bearer(token()),
            timeout=5,
            compression=grpc.Compression.Gzip,
        )

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()


@pytest.mark.parametrize("method", ["pogo.rpc.v1.Broker/Publish", "grpc.health.v1.Health/Check"])
async def test_bytes_that_are_no_message(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """They end the call, and leave no traceback in the log."""
    call: Any = broker.channel.unary_unary(f"/{method}")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff", timeout=5)

    assert "Error parsing message" in (caught.value.details() or "")
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_errors_of_ours_are_logged(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else goes wrong in a call has its traceback in the log."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(broker.server.publisher, "publish", fail)
    with pytest.raises(grpc.aio.AioRpcError):
        await broker.publish(request())

    assert ["ERROR"] == [record.levelname for record in caplog.records if record.exc_info]


async def test_health_follows_the_bus(broker: RunningBroker, bus: MemoryBus) -> None:
    """The server and its service are serving while the bus is connected, and watchers hear it."""
    stub = health_pb2_grpc.HealthStub(broker.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="pogo.rpc.v1.Broker"))

    assert [SERVING, SERVING] == [
        await health(broker),
        await health(broker, "pogo.rpc.v1.Broker"),
    ]
    assert SERVING == (await watch.read()).status

    with capture_logs() as logs:
        await bus.close()
        assert NOT_SERVING == (await watch.read()).status
        assert NOT_SERVING == await health(broker)
        await bus.start()
        assert SERVING == (await watch.read()).status

    assert [("warning", "closed"), ("info", None)] == [
        (entry["log_level"], entry.get("reason")) for entry in logs
    ]
    watch.cancel()


async def test_reflection_names_the_services(broker: RunningBroker) -> None:
    """Tools such as grpcurl can find out what to call."""
    stub = reflection_pb2_grpc.ServerReflectionStub(broker.channel)
    ask = reflection_pb2.ServerReflectionRequest
    call = stub.ServerReflectionInfo()
    await call.write(ask(list_services=""))
    services = (await call.read()).list_services_response.service
    await call.write(ask(file_containing_symbol="pogo.rpc.v1.Broker"))
    files = (await call.read()).file_descriptor_response.file_descriptor_proto
    await call.done_writing()

    assert {
        "pogo.rpc.v1.Broker",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    } == {service.name for service in services}
    assert any(b"PublishBatchRequest" in file for file in files)


async def test_a_port_is_not_shared(broker: RunningBroker, bus: MemoryBus) -> None:
    """A second broker on the same port says so, instead of taking some of the calls."""
    with pytest.raises(OSError, match="Address already in use"):
        async with running_broker(bus, make_settings(grpc_port=broker.server.grpc_port)):
            pass


async def test_a_host_of_ipv6(bus: MemoryBus) -> None:
    """An address with colons is written in brackets."""
    async with running_broker(bus, make_settings(host="::1")) as broker:
        address = f"[::1]:{broker.server.grpc_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)

    assert SERVING == reply.status


async def test_a_stop_drains_what_was_accepted() -> None:
    """Calls under way get their answers; a new one is refused; a watcher does not hold the stop."""
    bus = HeldBus()
    await bus.start()
    heard = listen(bus, "news")
    async with running_broker(bus) as broker:
        watch = health_pb2_grpc.HealthStub(broker.channel).Watch(health_pb2.HealthCheckRequest())
        assert SERVING == (await watch.read()).status
        calls = [asyncio.ensure_future(broker.batch([request()] * 10)) for _ in range(5)]
        await bus.arrived.wait()
        await until(lambda: waiting(broker) == 50)
        stopping = asyncio.create_task(broker.server.stop())
        assert NOT_SERVING == (await watch.read()).status
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broker.publish(request())
        bus.released.set()
        started = time.monotonic()
        await stopping

        assert time.monotonic() - started < 2
        assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
        assert [[0] * 10] * 5 == [[reply.status for reply in await call] for call in calls]
        assert 50 == len(heard)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", broker.server.grpc_port), 1)
    await bus.close()


async def test_a_stop_does_not_wait_for_ever() -> None:
    """A bus that never confirms holds the stop for `shutdown_timeout`; then the call is ended."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus, make_settings(shutdown_timeout=0.1)) as broker:
        call = asyncio.ensure_future(broker.publish(request()))
        await bus.arrived.wait()
        started = time.monotonic()
        await broker.server.stop()
        await broker.server.stop()

        assert time.monotonic() - started < 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
    await bus.close()


async def test_a_caller_that_hangs_up_harms_nobody() -> None:
    """A call that its caller cancels does not disturb the others of its batch."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus) as broker:
        given_up = broker.stub.Publish(request(), metadata=bearer(token()))
        patient = broker.stub.Publish(request(), metadata=bearer(token()))
        await bus.arrived.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        bus.released.set()

        assert 0 == (await patient).status
    await bus.close()
