import asyncio
import functools
import json
import pickle
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
import pytest_asyncio

from pogo.bus.memory import MemoryBus
from pogo.client import AsyncClient, Client, Event, Outcome, PublishError, StatusCode
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc
from tests.broker.helpers import (
    APP,
    OTHER,
    HeldBus,
    RunningBroker,
    listen,
    make_settings,
    memory_bus,
    running_broker,
)
from tests.servers import free_port, make_certificate

SECRET = APP.secret.get_secret_value()


class Publisher(Protocol):
    """What both clients can do, awaited."""

    async def publish(self, channel: str, event: str, data: object, **options: str) -> None:
        """Publish one event."""

    async def broadcast(
        self, channels: Iterable[str], event: str, data: object, **options: str
    ) -> None:
        """Publish one event on several channels."""

    async def publish_batch(self, events: Iterable[Event], **options: str) -> None:
        """Publish many events."""

    async def close(self) -> None:
        """Close the connection."""


class Threaded:
    """The client without an event loop, used from threads."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return functools.partial(asyncio.to_thread, getattr(self.client, name))


class Make(Protocol):
    """Makes a client, of the one kind or the other."""

    def __call__(self, target: int | str, **options: Any) -> Publisher:
        """Make it for a port of this machine, or for a target."""


@pytest_asyncio.fixture(name="make", params=["sync", "async"])
async def _make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    made: list[Publisher] = []
    kinds: dict[str, Callable[..., Any]] = {
        "sync": lambda *args, **options: Threaded(Client(*args, **options)),
        "async": AsyncClient,
    }

    def make(target: int | str, **options: Any) -> Publisher:
        address = f"127.0.0.1:{target}" if isinstance(target, int) else target
        options = {"app_id": APP.id, "key": APP.key, "secret": SECRET, **options}
        client: Publisher = kinds[request.param](address, **options)
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest_asyncio.fixture(name="broker")
async def _broker(bus: MemoryBus) -> AsyncIterator[RunningBroker]:
    async with running_broker(bus) as broker:
        yield broker


@pytest.fixture(name="client")
def _client(broker: RunningBroker, make: Make) -> Publisher:
    return make(broker.server.grpc_port)


async def test_publish(client: Publisher, bus: MemoryBus) -> None:
    """When a call returns, the event is on the bus, with all that it was given."""
    heard = listen(bus, "news")
    await client.publish("news", "headline", {"a": 1}, socket_id="1.2", message_id="message-7")
    [delivery] = heard
    message = {"event": "headline", "channel": "news", "data": '{"a":1}'}

    assert message == json.loads(delivery.payload)
    assert ("1.2", "message-7") == (delivery.except_socket_id, delivery.id)


@pytest.mark.parametrize(
    ("data", "travels"),
    [
        ('{"a":  1}', '{"a":  1}'),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ([], "[]"),
        (None, "null"),
        (1.5, "1.5"),
    ],
)
async def test_data(client: Publisher, bus: MemoryBus, data: object, travels: str) -> None:
    """A string is JSON text already and travels untouched; anything else is encoded."""
    heard = listen(bus, "news")
    await client.publish("news", "headline", data)

    assert travels == json.loads(heard[0].payload)["data"]


async def test_data_that_is_no_json(client: Publisher) -> None:
    """A plain string is code 5, and the error says what to pass instead."""
    with pytest.raises(PublishError) as caught:
        await client.publish("news", "headline", "hello")

    assert StatusCode.INVALID_PAYLOAD_JSON is caught.value.code
    assert "INVALID_PAYLOAD_JSON" == caught.value.name
    assert "json.dumps" in caught.value.detail
    assert str(caught.value).startswith("INVALID_PAYLOAD_JSON (5): the data is not JSON text")


async def test_data_that_cannot_be_encoded(client: Publisher) -> None:
    """What JSON cannot say is the caller's mistake, found before anything is sent."""
    with pytest.raises(TypeError):
        await client.publish("news", "headline", object())


async def test_broadcast(client: Publisher, bus: MemoryBus) -> None:
    """Any iterable of names will do."""
    heard = [listen(bus, name) for name in ("a", "b")]
    await client.broadcast(iter(["a", "b"]), "headline", {}, message_id="message-7")

    assert ["message-7", "message-7"] == [deliveries[0].id for deliveries in heard]


async def test_broadcast_to_one_string(client: Publisher) -> None:
    """A name in place of a list is not taken for its letters."""
    with pytest.raises(TypeError, match="pass a list of names"):
        await client.broadcast("news", "headline", {})


async def test_broadcast_to_nobody(client: Publisher) -> None:
    """The broker's codes come through."""
    with pytest.raises(PublishError) as caught:
        await client.broadcast([], "headline", {})

    assert StatusCode.INVALID_MULTI_CHANNEL_JSON is caught.value.code


async def test_batch(client: Publisher, bus: MemoryBus) -> None:
    """All events of a batch are on the bus, in their order."""
    heard = listen(bus, "news")
    await client.publish_batch(Event("news", "headline", number) for number in range(500))

    assert [str(number) for number in range(500)] == [
        json.loads(delivery.payload)["data"] for delivery in heard
    ]


async def test_a_batch_that_is_repeated(client: Publisher, bus: MemoryBus) -> None:
    """Under the same message id it is published once; another one under it is refused."""
    heard = listen(bus, "news")
    events = [Event("news", "headline", number) for number in range(3)]
    for _ in range(2):
        await client.publish_batch(events, message_id="morning")
    assert 3 == len(heard)

    with pytest.raises(PublishError) as caught:
        await client.publish_batch(events[1:], message_id="morning")
    assert (None, "ALREADY_EXISTS") == (caught.value.code, caught.value.name)
    assert 3 == len(heard)


async def test_an_event_that_is_repeated(client: Publisher, bus: MemoryBus) -> None:
    """The same for one event; it is no failure that a retry could cure."""
    heard = listen(bus, "news")
    for _ in range(2):
        await client.publish("news", "headline", 1, message_id="noon")
    with pytest.raises(PublishError) as caught:
        await client.publish("news", "headline", 2, message_id="noon")

    assert (None, "ALREADY_EXISTS") == (caught.value.code, caught.value.name)
    assert 1 == len(heard)


async def test_a_batch_that_fails_in_part(client: Publisher, bus: MemoryBus) -> None:
    """The error carries what became of each event, and the first one's code."""
    heard = listen(bus, "news")
    events = [
        Event("news", "headline", 1),
        Event("a b", "headline", 2),
        Event("news", "", 3),
        Event("news", "headline", 4),
    ]
    with pytest.raises(PublishError) as caught:
        await client.publish_batch(events)

    assert StatusCode.CHANNEL_TOO_LONG is caught.value.code
    assert "2 of 4 events failed" in caught.value.detail
    assert [0, 2, 3, 0] == [outcome.code for outcome in caught.value.outcomes]
    assert Outcome(StatusCode.SUCCESS) == caught.value.outcomes[0]
    assert 2 == len(heard)


async def test_a_batch_that_is_too_long(bus: MemoryBus, make: Make) -> None:
    """A batch that the broker does not take is told from events that it does not take."""
    async with running_broker(bus, make_settings(max_batch=1)) as broker:
        with pytest.raises(PublishError) as caught:
            await make(broker.server.grpc_port).publish_batch([Event("news", "e", 1)] * 2)

    assert (None, "INVALID_ARGUMENT", ()) == (
        caught.value.code,
        caught.value.name,
        caught.value.outcomes,
    )


async def test_what_is_too_large(client: Publisher) -> None:
    """Code 4, whether the broker judged the data or gRPC refused it; for a batch, the batch is."""
    for size in (300_000, 5_000_000):
        with pytest.raises(PublishError) as caught:
            await client.publish("news", "headline", "x" * size)
        assert StatusCode.PAYLOAD_TOO_LARGE is caught.value.code

    with pytest.raises(PublishError) as caught:
        await client.publish_batch([Event("news", "headline", "1" * 200_000)] * 30)
    assert (None, "RESOURCE_EXHAUSTED") == (caught.value.code, caught.value.name)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"secret": "another-secret-that-is-long-enough-too-x"}, "UNAUTHENTICATED"),
        ({"key": "nobody"}, "UNAUTHENTICATED"),
        ({"app_id": OTHER.id}, "PERMISSION_DENIED"),
    ],
)
async def test_who_may_not_publish(
    broker: RunningBroker, make: Make, options: dict[str, str], name: str
) -> None:
    """A wrong secret or app is told from everything that a retry may cure."""
    client = make(broker.server.grpc_port, **options)
    with pytest.raises(PublishError) as caught:
        await client.publish("news", "headline", {})

    assert (None, name) == (caught.value.code, caught.value.name)
    assert str(caught.value).startswith(f"{name}: the token")


async def test_an_unknown_app(broker: RunningBroker, make: Make) -> None:
    """An app id that the broker has never heard of is code 1."""
    with pytest.raises(PublishError) as caught:
        await make(broker.server.grpc_port, app_id="nobody").publish("news", "headline", {})

    assert StatusCode.HUB_MISSING is caught.value.code


async def test_nobody_listens(make: Make) -> None:
    """A broker that is not there is code 6, without a wait."""
    client = make(free_port())
    started = time.monotonic()
    with pytest.raises(PublishError) as caught:
        await client.publish("news", "headline", {})

    assert time.monotonic() - started < 1
    assert StatusCode.BROKER_PUBLISH_FAILED is caught.value.code
    assert caught.value.detail.startswith("UNAVAILABLE: ")


async def test_the_deadline(make: Make) -> None:
    """A call that takes too long is code 6, for each event of a batch."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus, make_settings(shutdown_timeout=0.01)) as broker:
        client = make(broker.server.grpc_port, timeout=0.1)
        with pytest.raises(PublishError) as caught:
            await client.publish_batch([Event("news", "headline", 1)] * 2)

    assert StatusCode.BROKER_PUBLISH_FAILED is caught.value.code
    assert caught.value.detail.startswith("DEADLINE_EXCEEDED")
    assert [6, 6] == [outcome.code for outcome in caught.value.outcomes]
    await bus.close()


async def test_a_broker_that_was_restarted(bus: MemoryBus, make: Make) -> None:
    """A client goes on by itself: with the next call, or a second after one that failed."""
    async with running_broker(bus) as broker:
        port = broker.server.grpc_port
        client = make(port)
        await client.publish("news", "headline", 1)
    async with running_broker(bus, make_settings(grpc_port=port)):
        await client.publish("news", "headline", 2)
    with pytest.raises(PublishError):
        await client.publish("news", "headline", 3)
    heard = listen(bus, "news")
    async with running_broker(bus, make_settings(grpc_port=port)):
        async with asyncio.timeout(3):
            while not heard:
                try:
                    await client.publish("news", "headline", 4)
                except PublishError:
                    await asyncio.sleep(0.05)

    assert "4" == json.loads(heard[0].payload)["data"]


async def test_a_closed_client_opens_again(client: Publisher, bus: MemoryBus) -> None:
    """Closing frees the connection; the next call makes another."""
    heard = listen(bus, "news")
    await client.close()
    await client.publish("news", "headline", 1)
    await client.close()
    await client.close()
    await client.publish("news", "headline", 2)

    assert 2 == len(heard)


async def test_many_threads_share_a_client(broker: RunningBroker, bus: MemoryBus) -> None:
    """One client serves all threads of a program, from the first call on."""
    heard = listen(bus, "news")
    with Client(
        f"127.0.0.1:{broker.server.grpc_port}", app_id=APP.id, key=APP.key, secret=SECRET
    ) as client:
        calls = [
            asyncio.to_thread(client.publish, "news", "headline", number) for number in range(50)
        ]
        await asyncio.gather(*calls)

    assert {str(n) for n in range(50)} == {json.loads(d.payload)["data"] for d in heard}


async def test_tasks_share_a_client(broker: RunningBroker, bus: MemoryBus) -> None:
    """One client serves all tasks of an event loop."""
    heard = listen(bus, "news")
    async with AsyncClient(
        f"127.0.0.1:{broker.server.grpc_port}", app_id=APP.id, key=APP.key, secret=SECRET
    ) as client:
        await asyncio.gather(*[client.publish("news", "headline", n) for n in range(50)])

    assert {str(n) for n in range(50)} == {json.loads(d.payload)["data"] for d in heard}


async def test_a_task_can_be_cancelled() -> None:
    """A publish that is cancelled ends as such, and is no publish error."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus, make_settings(shutdown_timeout=0.01)) as broker:
        target = f"127.0.0.1:{broker.server.grpc_port}"
        async with AsyncClient(target, app_id=APP.id, key=APP.key, secret=SECRET) as client:
            task = asyncio.create_task(client.publish("news", "headline", 1))
            await bus.arrived.wait()
            task.cancel()
            await asyncio.wait([task])

    assert task.cancelled()
    await bus.close()


class _Agreeable(broker_pb2_grpc.BrokerServicer):
    """A broker that says yes."""

    async def Publish(self, *_: object) -> broker_pb2.PublishReply:  # noqa: N802
        return broker_pb2.PublishReply()

    async def BroadcastMulti(self, *_: object) -> broker_pb2.PublishReply:  # noqa: N802
        return broker_pb2.PublishReply()

    async def PublishBatch(self, *_: object) -> broker_pb2.PublishBatchReply:  # noqa: N802
        return broker_pb2.PublishBatchReply()


async def test_tls(make: Make, tmp_path: Path) -> None:
    """A client trusts the authorities it is given, and no others."""
    made = make_certificate(tmp_path)
    certificate = made.certificate.read_bytes()
    server = grpc.aio.server()
    broker_pb2_grpc.add_BrokerServicer_to_server(_Agreeable(), server)
    credentials = grpc.ssl_server_credentials([(made.key.read_bytes(), certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    await make(f"localhost:{port}", root_certificates=certificate).publish("news", "e", {})
    for options in ({"secure": True}, {}):
        with pytest.raises(PublishError) as caught:
            await make(f"localhost:{port}", **options).publish("news", "e", {})
        assert StatusCode.BROKER_PUBLISH_FAILED is caught.value.code
    await server.stop(None)


def test_errors_can_be_pickled() -> None:
    """An error crosses the border of a process, as task queues need it to."""
    error = PublishError(
        StatusCode.HUB_MISSING, "HUB_MISSING", "no edge", (Outcome(StatusCode.SUCCESS),)
    )
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (it was made here)

    assert (error.code, error.name, error.detail, error.outcomes) == (
        copy.code,
        copy.name,
        copy.detail,
        copy.outcomes,
    )
    assert "HUB_MISSING (1): no edge" == str(copy)
