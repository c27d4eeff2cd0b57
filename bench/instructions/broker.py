"""The hot paths of a broker: from the bytes of a request to the bus, and to the reply.

gRPC requests are counted without gRPC's core, whose threads run as the time wants: the bytes of the
request are given to what was registered for its method, with a token, and the bytes of the reply
are taken. They are confirmed by a real nats-server. The HTTP API answers on a socket, on the bus in
memory.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import grpc
import jwt
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry
from tests.servers import HOST, NatsServer

from bench.instructions.work import Work, WorkError
from pogo.broker import workers
from pogo.broker.apps import AppDirectory
from pogo.broker.auth import AUDIENCE, Authenticator
from pogo.broker.grpc_service import BrokerService
from pogo.broker.http import HttpServer
from pogo.broker.server import BrokerServer
from pogo.bus import Bus, connection
from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.cluster import Timing
from pogo.records.memory import MemoryRecords
from pogo.registry.memory import MemoryRegistry
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc
from pogo.settings import Settings

_APP, _SECRET = "bench", "a-secret-that-is-long-enough-for-hs256"
_DATA = json.dumps("x" * 150)
_NEVER = 1e6
"""Seconds: longer than anything here runs."""
_LIFETIME = 3000
"""Seconds for which the token is good."""
_READ = 1 << 16


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[Sequence[Work]]:
    """Run a broker on NATS for gRPC, and one on the bus in memory for HTTP."""
    # Under callgrind everything takes fifty times as long; it is not late, and nothing ticks.
    workers.MAX_WAIT = connection.PING_INTERVAL = _NEVER
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pogo-bench-"))
        nats = await stack.enter_async_context(NatsServer(Path(folder)))
        bus = NatsBus([nats.url])
        stack.push_async_callback(bus.close)
        methods = _Methods(await _open_broker(bus))
        http = HttpServer(_settings(), (await _open_broker(MemoryBus())).http_api, lambda: "")
        await http.start()
        client = socket.create_connection((HOST, http.port))
        client.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        event = broker_pb2.PublishRequest(app_id=_APP, channel="news", event="headline", data=_DATA)
        batch = broker_pb2.PublishBatchRequest(events=[event] * 100)
        yield (
            _Calls("publish", methods.by_name["Publish"], event, events=1, rounds=250),
            _Calls("publish-batch", methods.by_name["PublishBatch"], batch, events=100, rounds=8),
            _Requests(client),
        )


def _settings() -> Settings:
    apps = [{"id": _APP, "secret": _SECRET}]
    return Settings.model_validate({"apps": apps, "grpc_port": 0, "port": 0})


async def _open_broker(bus: Bus) -> BrokerServer:
    """Make a broker that publishes, but listens nowhere and has no place in a cluster."""
    await bus.start()
    server = BrokerServer(
        _settings(),
        bus=bus,
        registry=MemoryRegistry(),
        records=MemoryRecords(),
        metrics=CollectorRegistry(),
        timing=Timing(beat=_NEVER, dead_after=3 * _NEVER),
    )
    server.publisher.start()
    return server


class _Methods:
    """The methods of a broker, as they are registered with a server of gRPC."""

    def __init__(self, server: BrokerServer) -> None:
        settings = _settings()
        apps = AppDirectory(settings.apps)
        self.by_name: Mapping[str, Any] = {}
        broker_service = BrokerService(
            server.publisher,
            server.repeats,
            apps=apps,
            authenticator=Authenticator(apps),
            rates=server.rates,
            max_batch=settings.max_batch,
            max_channels=settings.max_channels,
        )
        broker_pb2_grpc.add_BrokerServicer_to_server(broker_service, cast("grpc.aio.Server", self))

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take them in the other way, too."""

    def add_registered_method_handlers(self, name: str, handlers: Mapping[str, object]) -> None:
        """Take the methods in."""
        del name
        self.by_name = handlers


class _Context:
    """What a method is told about its call."""

    def __init__(self) -> None:
        claims = {"iss": _APP, "aud": AUDIENCE, "exp": int(time.time()) + _LIFETIME}
        token = jwt.encode(claims, _SECRET, algorithm="HS256")
        self._metadata = (("user-agent", "bench"), ("authorization", f"Bearer {token}"))

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """Tell who calls."""
        return self._metadata

    async def abort(self, code: grpc.StatusCode, details: str, *_: object) -> None:
        """End the call."""
        raise WorkError(f"{code}: {details}")


class _Calls:
    """Calls of one method, one at a time, each confirmed by NATS."""

    def __init__(
        self, name: str, method: Any, request: Message, *, events: int, rounds: int
    ) -> None:
        """Call a method as it is registered, with a request that has so many events."""
        self.name = name
        self.operation = (
            "an event" + (f" of {events} in a batch" if events > 1 else "") + " by gRPC"
        )
        self.operations = events
        self.rounds = rounds
        self._parse: Callable[[bytes], object] = method.request_deserializer
        self._answer: Callable[[object, _Context], Awaitable[object]] = method.unary_unary
        self._write: Callable[[object], bytes] = method.response_serializer
        self._request = request.SerializeToString()
        self._context = _Context()
        self._replies: list[bytes] = []

    async def run(self, rounds: int) -> None:
        """Make one call a round."""
        for _ in range(rounds):
            reply = await self._answer(self._parse(self._request), self._context)
            self._replies.append(self._write(reply))

    async def settle(self, rounds: int) -> None:
        """See that all was published."""
        replies, self._replies = self._replies, []
        success = broker_pb2.PublishReply()
        whole = broker_pb2.PublishBatchReply(replies=[success] * self.operations)
        expected = (success if self.operations == 1 else whole).SerializeToString()
        _expect(replies, [reply for reply in replies if reply == expected], rounds)


class _Requests:
    """Requests of the HTTP API, one at a time on one connection, each with one event."""

    name = "publish-http"
    operation = "an event by HTTP"
    operations = 1
    rounds = 100

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._request = _sign(f'{{"name":"headline","channels":["news"],"data":{_DATA}}}'.encode())
        self._answers: list[bytes] = []

    async def run(self, rounds: int) -> None:
        """Send one request a round; what the client does is counted too, but is little."""
        loop = asyncio.get_running_loop()
        for _ in range(rounds):
            self._client.send(self._request)
            self._answers.append(await loop.sock_recv(self._client, _READ))

    async def settle(self, rounds: int) -> None:
        """See that all was published."""
        answers, self._answers = self._answers, []
        good = [a for a in answers if a.startswith(b"HTTP/1.1 200 ") and a.endswith(b"\r\n{}")]
        _expect(answers, good, rounds)


def _expect(answers: Sequence[bytes], good: Sequence[bytes], rounds: int) -> None:
    """See that there are enough good answers, and no others."""
    if not len(answers) == len(good) == rounds:
        bad = next((answer for answer in answers if answer not in good), b"none")
        raise WorkError(f"{len(good)} of {rounds} calls published everything: {bad!r:.300}")


def _sign(body: bytes) -> bytes:
    """Write a request as an SDK does."""
    path = f"/apps/{_APP}/events"
    query = (
        f"auth_key={_APP}&auth_timestamp={time.time():.0f}&auth_version=1.0"
        f"&body_md5={hashlib.md5(body, usedforsecurity=False).hexdigest()}"
    )
    signature = hmac.digest(_SECRET.encode(), f"POST\n{path}\n{query}".encode(), "sha256").hex()
    head = (
        f"POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\n"
        f"Host: {HOST}\r\nContent-Type: application/json\r\nUser-Agent: pusher-bench\r\n"
        f"Accept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
