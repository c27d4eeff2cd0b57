"""An edge on a free port, and clients that speak the protocol by hand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pogo.bus import Bus, Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.edge.authorizer import AuthService
from pogo.edge.server import EdgeServer
from pogo.pusher.frames import encode_event
from pogo.pusher.signatures import sign_channel, sign_user
from pogo.records import Records
from pogo.registry import Change, Entry, Registry
from pogo.registry.memory import MemoryRegistry
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.settings import Settings, load_settings
from pogo.tls import ServerTls
from pogo.webhooks import WebhookStore

APP = "app"
KEY = "app-key"
SECRET = "edge-test-secret"
TIMEOUT = 5.0


def make_settings(**overrides: object) -> Settings:
    """Make the settings of an edge with one app, on a free port, without a limit per address."""
    defaults = {
        "apps": [{"id": APP, "key": KEY, "secret": SECRET}],
        "port": 0,
        "handshake_rate": -1,
    }
    return load_settings(None, {}, {**defaults, **overrides})


async def eventually(condition: Callable[[], bool], *, within: float = TIMEOUT) -> None:
    """Wait until something holds, for so many seconds at most."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class Edge:
    """A running edge, and the bus that it hears."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        *,
        pages: web.Application | None,
        registry: Registry | None,
        local_auth: AuthService | None,
        cache: Records | None,
        webhook_store: WebhookStore | None,
        tls: ServerTls | None,
    ) -> None:
        self.bus = bus
        self.registry = registry or MemoryRegistry()
        self.metrics = CollectorRegistry()
        self.server = EdgeServer(
            settings,
            bus=bus,
            registry=self.registry,
            metrics=self.metrics,
            pages=pages,
            auth_service=local_auth,
            cache=cache,
            webhook_store=webhook_store,
            tls=tls,
        )

    def url(self, key: str = KEY, query: str = "?protocol=7") -> str:
        """Return where a client connects."""
        return f"ws://127.0.0.1:{self.server.port}/app/{key}{query}"

    def http(self, path: str) -> str:
        """Return where a page is."""
        return f"http://127.0.0.1:{self.server.port}{path}"

    def metric(self, name: str, **labels: str) -> float:
        """Read one of the edge's metrics; 0 where it was never counted."""
        return self.metrics.get_sample_value(f"pogo_websocket_{name}", labels) or 0.0

    async def publish(
        self, channel: str, event: str, data: str = "{}", *, exclude: str = "", app: str = APP
    ) -> None:
        """Put an event on the bus, as a broker does."""
        payload = encode_event(event, channel, data)
        delivery = Delivery(payload=payload, except_socket_id=exclude)
        message = Message(channel_subject(app, channel), delivery.SerializeToString())

        assert [None] == await self.bus.publish([message])


@contextlib.asynccontextmanager
async def running_edge(
    bus: Bus | None = None,
    *,
    pages: web.Application | None = None,
    registry: Registry | None = None,
    local_auth: AuthService | None = None,
    cache: Records | None = None,
    webhook_store: WebhookStore | None = None,
    tls: ServerTls | None = None,
    **overrides: object,
) -> AsyncIterator[Edge]:
    """Run an edge; on a bus and a registry of its own unless some are given that run already."""
    own = bus or MemoryBus()
    if bus is None:
        await own.start()
    edge = Edge(
        make_settings(**overrides),
        own,
        pages=pages,
        registry=registry,
        local_auth=local_auth,
        cache=cache,
        webhook_store=webhook_store,
        tls=tls,
    )
    await edge.server.start()
    try:
        yield edge
    finally:
        await edge.server.stop()
        if bus is None:
            await own.close()


@contextlib.asynccontextmanager
async def two_edges(**overrides: Any) -> AsyncIterator[tuple[Edge, Edge]]:
    """Run two edges of one cluster."""
    bus, registry = MemoryBus(), MemoryRegistry()
    await bus.start()
    async with (
        running_edge(bus, registry=registry, **overrides) as one,
        running_edge(bus, registry=registry, **overrides) as two,
    ):
        yield one, two
    await bus.close()


class Keys:
    """A watcher of the registry that keeps the keys."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all keys."""
        self.keys = [entry.key for entry in entries]

    def changed(self, change: Change) -> None:
        """Take one that came or went."""
        if change.key in self.keys:
            self.keys.remove(change.key)
        if change.value is not None:
            self.keys.append(change.key)


class Client:
    """One connection, spoken to in messages: `async with Client(edge.url()) as client`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._connect = connect(url, compression=None, **options)
        self._pending: list[dict[str, Any]] = []
        self.socket_id = ""

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await self._connect
        first = await self.receive()
        if first["event"] == "pusher:connection_established":
            self.socket_id = json.loads(first["data"])["socket_id"]
        else:
            self._pending.append(first)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.socket.close()

    async def send(self, event: str, data: object = None, **fields: object) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"event": event, "data": data, **fields}))

    async def receive(self) -> dict[str, Any]:
        """Receive the next message."""
        if self._pending:
            return self._pending.pop(0)
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), TIMEOUT))
        return message

    async def expect(self, event: str) -> dict[str, Any]:
        """Receive the next message, which has to be this event."""
        message = await self.receive()

        assert event == message["event"], message
        return message

    async def silent(self) -> None:
        """See that nothing arrives before the answer to a ping."""
        await self.send("pusher:ping", {})
        await self.expect("pusher:pong")

    async def closed(self) -> tuple[int | None, list[dict[str, Any]]]:
        """Wait for the close; returns its code and the messages before it."""
        messages: list[dict[str, Any]] = []
        try:
            while True:
                messages.append(await self.receive())
        except ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else None), messages

    async def ask(self, channel: str, channel_data: str | None = None) -> None:
        """Ask for a subscription, signed by the app."""
        auth = f"{KEY}:{sign_channel(SECRET.encode(), self.socket_id, channel, channel_data)}"
        data = {"channel": channel, "auth": auth, "channel_data": channel_data}
        await self.send("pusher:subscribe", data)

    async def subscribe(self, channel: str, user_id: str | None = None) -> dict[str, Any]:
        """Subscribe; returns the data of the answer."""
        channel_data = None if user_id is None else json.dumps({"user_id": user_id})
        await self.ask(channel, channel_data)
        answer = await self.expect("pusher_internal:subscription_succeeded")

        assert channel == answer["channel"]
        data: dict[str, Any] = json.loads(answer["data"])
        return data

    async def signin(self, user_data: str) -> None:
        """Ask to be signed in, signed by the app."""
        auth = f"{KEY}:{sign_user(SECRET.encode(), self.socket_id, user_data)}"
        await self.send("pusher:signin", {"auth": auth, "user_data": user_data})
