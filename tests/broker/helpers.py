"""A running broker, tokens for it, and what arrives on its bus."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import jwt
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from pogo.broker import BrokerServer
from pogo.broker.live_edges import LiveEdges
from pogo.broker.message_ids import LIFETIMES, Lifetimes
from pogo.bus import Bus, BusError, Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.cluster import BROKER, EDGE, TIMING, Membership, Timing
from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.registry import Registry
from pogo.registry.memory import MemoryRegistry
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc, delivery_pb2
from pogo.settings import App, Settings
from pogo.tls import ServerTls

if TYPE_CHECKING:
    from pogo.rpc.v1.broker_pb2_grpc import BrokerAsyncStub

APP = App(
    id="shop",
    key="shop-key",
    secret=SecretStr("a-secret-that-is-long-enough-for-hs256-and-hs384-too"),
    previous_secret=SecretStr("the-secret-that-was-there-before-it-was"),
)
OTHER = App(id="other", secret=SecretStr("another-secret-that-is-long-enough-too"))
DISABLED = App(
    id="closed", secret=SecretStr("a-third-secret-that-is-long-enough-too"), enabled=False
)


def make_settings(**changes: object) -> Settings:
    """Make settings with three apps and any free port."""
    return Settings.model_validate({"apps": (APP, OTHER, DISABLED), "grpc_port": 0, **changes})


def token(app: App = APP, *, secret: str = "", algorithm: str = "HS256", **claims: object) -> str:
    """Sign a token; a claim of `None` is left out."""
    content = {"iss": app.key, "aud": "pogo-broker", "exp": int(time.time()) + 60, **claims}
    present = {name: value for name, value in content.items() if value is not None}
    key = secret or app.secret.get_secret_value()
    return jwt.encode(present, "" if algorithm == "none" else key, algorithm=algorithm)


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries a token."""
    return (("authorization", f"Bearer {text}"),)


def request(
    channel: str = "news",
    event: str = "headline",
    data: str = "{}",
    *,
    app_id: str = APP.id,
    socket_id: str = "",
    message_id: str = "",
) -> broker_pb2.PublishRequest:
    """Write a request that is right unless told otherwise."""
    return broker_pb2.PublishRequest(
        app_id=app_id,
        channel=channel,
        event=event,
        data=data,
        socket_id=socket_id,
        message_id=message_id,
    )


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class RunningBroker:
    """A broker, and a caller with a token."""

    server: BrokerServer
    channel: grpc.aio.Channel
    stub: "BrokerAsyncStub"
    metrics: CollectorRegistry

    async def publish(self, item: broker_pb2.PublishRequest) -> broker_pb2.PublishReply:
        """Publish one event."""
        return await self.stub.Publish(item, metadata=bearer(token()), timeout=5)

    async def batch(
        self, items: Sequence[broker_pb2.PublishRequest], message_id: str = ""
    ) -> list[broker_pb2.PublishReply]:
        """Publish a batch."""
        batch = broker_pb2.PublishBatchRequest(events=items, message_id=message_id)
        call = self.stub.PublishBatch(batch, metadata=bearer(token()), timeout=5)
        return list((await call).replies)

    async def broadcast(
        self, channels: str, data: str = "{}", message_id: str = ""
    ) -> broker_pb2.PublishReply:
        """Publish one event on several channels."""
        item = broker_pb2.BroadcastMultiRequest(
            app_id=APP.id,
            channels=channels,
            event="headline",
            data=data,
            message_id=message_id,
        )
        return await self.stub.BroadcastMulti(item, metadata=bearer(token()), timeout=5)


@contextlib.asynccontextmanager
async def running_broker(
    bus: Bus,
    settings: Settings | None = None,
    *,
    registry: Registry | None = None,
    records: Records | None = None,
    cache: Records | None = None,
    timing: Timing = TIMING,
    lifetimes: Lifetimes = LIFETIMES,
    tls: ServerTls | None = None,
) -> AsyncIterator[RunningBroker]:
    """Run a broker on a bus and records that are started, and connect to it.

    Without a registry of the test's own, an edge lives beside it; without records, it has its own.
    With `tls`, the connection is of no use.
    """
    metrics = CollectorRegistry()
    own = registry or MemoryRegistry()
    server = BrokerServer(
        settings or make_settings(),
        bus=bus,
        registry=own,
        records=records or MemoryRecords(),
        cache=cache,
        metrics=metrics,
        timing=timing,
        lifetimes=lifetimes,
        tls=tls,
    )
    async with contextlib.AsyncExitStack() as stack:
        if registry is None:
            await stack.enter_async_context(living_edge(own))
        await server.start()
        stack.push_async_callback(server.stop)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        await stack.enter_async_context(channel)
        await until(lambda: server.sees_cluster)
        yield RunningBroker(server, channel, broker_pb2_grpc.BrokerStub(channel), metrics)


@contextlib.asynccontextmanager
async def living_edge(registry: Registry, timing: Timing = TIMING) -> AsyncIterator[Membership]:
    """Keep an edge alive, as far as the cluster can tell."""
    edge = Membership(registry, EDGE, "edge", ready=True, timing=timing)
    edge.start()
    try:
        yield edge
    finally:
        await edge.leave()


@contextlib.asynccontextmanager
async def memory_bus() -> AsyncIterator[MemoryBus]:
    """Run a memory bus."""
    bus = MemoryBus()
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


class FixedEdges(LiveEdges):
    """Knows whether any edge is alive, whatever the cluster says."""

    def __init__(self, *, alive: bool) -> None:
        super().__init__(Membership(MemoryRegistry(), BROKER, "broker", ready=True))
        self._alive = alive

    def none_alive(self) -> bool:
        """Tell what it was told."""
        return not self._alive


class HeldBus(MemoryBus):
    """A memory bus that confirms nothing until it is told to, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Message]] = []
        # Set for each batch that arrives.
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Wait for the release, then publish."""
        self.batches.append(list(messages))
        self.arrived.set()
        await self.released.wait()
        return await super().publish(messages)


class FailingBus(MemoryBus):
    """A memory bus that answers as it is told, once for each of these errors."""

    def __init__(self, *errors: BusError) -> None:
        super().__init__()
        self._errors = list(errors)

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Fail, or publish."""
        if self._errors:
            return [self._errors.pop(0)] * len(messages)
        return await super().publish(messages)


def listen(bus: Bus, channel: str, app: App = APP) -> list[delivery_pb2.Delivery]:
    """Gather what is delivered on a channel from now on."""
    heard: list[delivery_pb2.Delivery] = []
    bus.subscribe(
        channel_subject(app.id, channel),
        lambda payload: heard.append(delivery_pb2.Delivery.FromString(payload)),
    )
    return heard


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(within):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)
