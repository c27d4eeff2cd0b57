"""Edges and brokers as the users of the bus that the stack gives them."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest
from pusher import Pusher

from pogo.client import AsyncClient
from tests.deploy.bus_servers import service_settings, stack_bus
from tests.e2e.cluster import Service
from tests.servers import HOST, ServerProcess
from tests.webhook_receiver import WebhookReceiver

APP_ID, KEY, SECRET = "1001", "desk", "insecure-development-secret"
EDGE, BROKER = "insecure-development-edge", "insecure-development-broker"
# What no user may publish.
_FORBIDDEN = "for.nobody"

CHANNELS = ("presence-desk", "private-orders", "private-cache-orders")


@pytest.fixture(name="kind", scope="module", params=["nats", "redis"])
def _kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="bus", scope="module")
def _bus(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with stack_bus(kind, tmp_path_factory.mktemp(kind)) as server:
        yield server


@pytest.fixture(name="nats_server", scope="module")
def _nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with stack_bus("nats", tmp_path_factory.mktemp("nats-alone")) as server:
        yield server


@pytest.fixture(name="redis_server", scope="module")
def _redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with stack_bus("redis", tmp_path_factory.mktemp("redis-alone")) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Page:
    """A client of an edge."""

    socket: aiohttp.ClientWebSocketResponse

    async def until(self, event: str, channel: str | None = None) -> dict[str, Any]:
        """Wait for an event."""
        while True:
            message: dict[str, Any] = await self.socket.receive_json(timeout=20)
            if (message["event"], message.get("channel")) == (event, channel):
                return message

    async def join(self, channel: str, socket_id: str) -> None:
        """Subscribe to a channel that has to be signed."""
        member = json.dumps({"user_id": "1"}) if channel.startswith("presence-") else None
        text = ":".join(filter(None, (socket_id, channel, member)))
        signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        data = {"channel": channel, "auth": f"{KEY}:{signature}", "channel_data": member}
        await self.socket.send_json({"event": "pusher:subscribe", "data": data})
        await self.until("pusher_internal:subscription_succeeded", channel)


async def test_they_may_do_all_that_they_do(kind: str, bus: ServerProcess, tmp_path: Path) -> None:
    """Nothing of it is refused: deliveries, cached events, presence, ids, questions, webhooks."""
    services: list[Service] = []
    async with WebhookReceiver() as receiver:
        for name in ("edge", "broker"):
            settings = service_settings(name, kind, bus.port)
            settings["POGO_WEBHOOK_URL"] = receiver.url
            settings["POGO_WEBHOOK_DELAY"] = "100ms"
            services.append(Service(name, settings, tmp_path / f"{name}.log"))
        edge, broker = services
        try:
            await _use(edge, broker, receiver)
        finally:
            for service in services:
                service.stop()

    assert [] == edge.errors() + broker.errors()
    for log in (tmp_path / "edge.log", tmp_path / "broker.log", bus.log):
        text = log.read_text().lower()
        assert "violation" not in text
        assert "noperm" not in text


async def _use(edge: Service, broker: Service, receiver: WebhookReceiver) -> None:
    client = AsyncClient(broker.grpc, app_id=APP_ID, key=KEY, secret=SECRET)
    url = f"http://{HOST}:{edge.port}/app/{KEY}?protocol=7"
    async with client, aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        page = Page(socket)
        established = await page.until("pusher:connection_established")
        socket_id = json.loads(established["data"])["socket_id"]
        await client.publish("private-cache-orders", "tea", {"total": 2})
        for channel in CHANNELS:
            await page.join(channel, socket_id)
        await page.until("tea", "private-cache-orders")
        await client.publish("private-orders", "tea", {"total": 2}, message_id="one")
        await page.until("tea", "private-orders")
        event = {"event": "client-hello", "channel": "presence-desk", "data": {}}
        await page.socket.send_json(event)
        asked = Pusher(APP_ID, KEY, SECRET, host=HOST, port=broker.http_port, ssl=False)
        assert {*CHANNELS} == asked.channels_info()["channels"].keys()
        await receiver.until_events(len(CHANNELS) + 2)  # and member_added, client_event
    await receiver.until_events(2 * len(CHANNELS) + 3)


async def _refused(
    server: ServerProcess, user: str, password: str, *, publish: str = "", subscribe: str = ""
) -> bool:
    """Whether a user of NATS may not do that."""
    errors: list[str] = []
    told = asyncio.Event()

    async def take(error: Exception) -> None:
        errors.append(str(error))
        if _FORBIDDEN in str(error):
            told.set()

    client = await nats.connect(
        f"nats://{HOST}:{server.port}", user=user, password=password, error_cb=take
    )
    try:
        if publish:
            await client.publish(publish, b"forged")
        else:
            await client.subscribe(subscribe)
        # The server judges in order, so all has been told when this one is refused.
        await client.publish(_FORBIDDEN, b"")
        async with asyncio.timeout(20):
            await told.wait()
        return len(errors) > 1
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("user", "password", "subject"),
    [
        ("edge", EDGE, "pogo.v1.=.questions"),
        ("edge", EDGE, "pogo.v1.=.ledgers.desk.log"),
        ("edge", EDGE, "pogo.v1.reg.p.desk.room"),
        ("edge", EDGE, "$KV.pogo_messages.desk"),
        ("edge", EDGE, "$KV.pogo_cache.desk"),
        ("edge", EDGE, "$JS.API.STREAM.DELETE.KV_pogo"),
        ("edge", EDGE, "$JS.API.CONSUMER.CREATE.KV_pogo"),
        ("edge", EDGE, "other"),
        ("broker", BROKER, "pogo.v1.=.answers.desk"),
        ("broker", BROKER, "pogo.v1.reg.p.desk.room"),
        ("broker", BROKER, "$JS.API.STREAM.DELETE.KV_pogo"),
        ("broker", BROKER, "other"),
    ],
)
async def test_nats_refuses_to_publish(
    nats_server: ServerProcess, user: str, password: str, subject: str
) -> None:
    """Nobody can write what is another service's to write, or the registry's own."""
    assert await _refused(nats_server, user, password, publish=subject)


@pytest.mark.parametrize(
    ("user", "password", "subject"),
    [
        ("edge", EDGE, ">"),
        ("edge", EDGE, "pogo.v1.=.answers.*"),
        ("edge", EDGE, "$KV.>"),
        ("broker", BROKER, ">"),
        ("broker", BROKER, "pogo.v1.*.ch.*"),
    ],
)
async def test_nats_refuses_to_tell(
    nats_server: ServerProcess, user: str, password: str, subject: str
) -> None:
    """Nobody can read what it does not need: brokers no deliveries."""
    assert await _refused(nats_server, user, password, subscribe=subject)


async def test_nats_lets_them_do_what_they_do(nats_server: ServerProcess) -> None:
    """The test can tell: what is allowed is not refused."""
    assert not await _refused(nats_server, "edge", EDGE, subscribe="pogo.v1.*.ch.*")
    assert not await _refused(nats_server, "broker", BROKER, publish="pogo.v1.desk.ch.room")


@pytest.mark.parametrize(
    "login",
    [{}, {"user": "edge", "pass": BROKER}, {"user": "other", "pass": EDGE}, {"auth_token": EDGE}],
)
async def test_nats_lets_nobody_else_in(nats_server: ServerProcess, login: dict[str, str]) -> None:
    """Without a user of the stack there is no connection."""
    reader, writer = await asyncio.open_connection(HOST, nats_server.port)
    try:
        writer.write(b"CONNECT %b\r\nPING\r\n" % json.dumps({"verbose": False, **login}).encode())
        lines = (await reader.read()).splitlines()
    finally:
        writer.close()

    assert b"-ERR 'Authorization Violation'" == lines[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("SET", "other", "1"),
        ("PUBLISH", "other", "1"),
        ("SHUTDOWN",),
    ],
)
@pytest.mark.parametrize(("user", "password"), [("edge", EDGE), ("broker", BROKER)])
async def test_redis_refuses(
    redis_server: ServerProcess, user: str, password: str, command: tuple[str, ...]
) -> None:
    """They have Pogo's keys and channels, and no say over the server."""
    reader, writer = await asyncio.open_connection(HOST, redis_server.port)
    commands = (("AUTH", user, password), ("SET", "pogo:v1:test", "1"), command)
    try:
        writer.write(b"".join(f"{' '.join(words)}\r\n".encode() for words in commands))
        answers = [(await reader.readline()).split()[0] for _ in commands]
    finally:
        writer.close()

    assert [b"+OK", b"+OK", b"-NOPERM"] == answers


async def test_redis_lets_nobody_else_in(redis_server: ServerProcess) -> None:
    """The default user is off, and the one for health checks may ping and nothing else."""
    reader, writer = await asyncio.open_connection(HOST, redis_server.port)
    try:
        writer.write(b"PING\r\nAUTH health any\r\nPING\r\nGET pogo:v1:test\r\n")
        answers = [(await reader.readline()).split()[0] for _ in range(4)]
    finally:
        writer.close()

    assert [b"-NOAUTH", b"+OK", b"+PONG", b"-NOPERM"] == answers
