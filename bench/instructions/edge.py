"""The hot paths of an edge, as it runs: from the bus, or a socket, to its clients' sockets.

The edge is the real one, on the bus in memory and on uvloop, with clients on the loopback. What
depends on the time (pings, beats) is put off to after the counting.
"""

import contextlib
import json
import re
import resource
import socket
from asyncio import get_running_loop, sleep
from collections.abc import AsyncIterator, Sequence

from prometheus_client import CollectorRegistry
from websockets.frames import Frame, Opcode

from bench.instructions.work import Work, WorkError
from pogo.bus import Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.cluster import Timing
from pogo.edge.server import EdgeServer
from pogo.pusher.frames import encode_event
from pogo.pusher.signatures import sign_channel
from pogo.registry.memory import MemoryRegistry
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.settings import Settings

_APP, _SECRET = "bench", "a-secret-that-is-long-enough"
_HOST = "127.0.0.1"
_NEWS, _CHAT = "news", "private-chat"
_SUBSCRIBERS = 1000
_DATA = "x" * 150
_NEVER = 1e6
"""Seconds: longer than anything here runs."""
_PLENTY = 1_000_000
"""Messages a second: no limit is reached, but all are minded."""

_TURNS = 5
"""Turns of the event loop in which everything that was begun is done. Counted, but cheap."""
_RECEIVE_BUFFER = 1 << 20
"""What clients leave unread until the round's end."""
_READ = 1 << 20

_REQUEST = (
    f"GET /app/{_APP}?protocol=7 HTTP/1.1\r\nHost: {_HOST}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
).encode()
_SOCKET_ID = re.compile(rb'\\"socket_id\\":\\"([0-9.]+)\\"')


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[Sequence[Work]]:
    """Run an edge with clients on one public and one private channel."""
    async with _running_edge() as (port, bus):
        subscribers = [await _connect(port, _NEWS) for _ in range(_SUBSCRIBERS)]
        sender, receiver = [await _connect(port, _CHAT) for _ in range(2)]
        yield (
            _Fanout(bus, subscribers, 1),
            _Fanout(bus, subscribers, 10),
            _ClientEvents(sender, receiver),
        )


class _Fanout:
    """Deliveries from the bus to the sockets of all subscribers of a channel, some in one turn."""

    rounds = 10

    def __init__(self, bus: MemoryBus, clients: Sequence[socket.socket], messages: int) -> None:
        self.name = f"deliver-{messages}"
        self.operation = f"a delivery, {len(clients):,} subscribers, {messages} a turn"
        self.operations = messages * len(clients)
        self._bus = bus
        self._clients = clients
        self._messages = messages
        payload = encode_event("headline", _NEWS, _DATA)
        subject = channel_subject(_APP, _NEWS)
        self._message = Message(subject, Delivery(payload=payload, id="1").SerializeToString())
        self._frame_bytes = len(Frame(Opcode.TEXT, payload).serialize(mask=False))

    async def run(self, rounds: int) -> None:
        """Deliver once a round, and leave it unread."""
        for _ in range(rounds):
            for _ in range(self._messages):
                self._bus.post(self._message)
            await _pass_turns()

    async def settle(self, rounds: int) -> None:
        """Read what each client has, and see that it is all."""
        expected = rounds * self._messages * self._frame_bytes
        for client in self._clients:
            _expect(_read_all(client), expected)


class _ClientEvents:
    """Client events from one socket over the bus to another, one at a time."""

    name = "client-event"
    operation = "a client event, one other subscriber"
    operations = 1
    rounds = 100

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        self._sender = sender
        self._receiver = receiver
        event = {"event": "client-moved", "channel": _CHAT, "data": {"text": _DATA}}
        message = json.dumps(event, separators=(",", ":")).encode()
        self._sent = Frame(Opcode.TEXT, message).serialize(mask=True)
        self._frame_bytes = 0

    async def run(self, rounds: int) -> None:
        """Send one event a round; sending is counted too, but is little."""
        for _ in range(rounds):
            self._sender.send(self._sent)
            await _pass_turns()

    async def settle(self, rounds: int) -> None:
        """Read what the receiver has, and see that it is all, and that nobody was refused."""
        received = _read_all(self._receiver)
        # The edge writes the event anew, so the first round tells how long it is.
        self._frame_bytes = self._frame_bytes or received // rounds
        if not self._frame_bytes:
            raise WorkError("no client event arrived")
        _expect(received, rounds * self._frame_bytes)
        _expect(_read_all(self._sender), 0)


@contextlib.asynccontextmanager
async def _running_edge() -> AsyncIterator[tuple[int, MemoryBus]]:
    """Run an edge; yields its port and its bus."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = Settings.model_validate(
        {
            "apps": [{"id": _APP, "secret": _SECRET}],
            "port": 0,
            "handshake_rate": -1,
            "message_rate": _PLENTY,
            "message_burst": _PLENTY,
            "client_event_rate": _PLENTY,
            "ping_period": _NEVER,
            "pong_wait": 2 * _NEVER,
        }
    )
    bus = MemoryBus()
    await bus.start()
    server = EdgeServer(
        settings,
        bus=bus,
        registry=MemoryRegistry(),
        metrics=CollectorRegistry(),
        timing=Timing(beat=_NEVER, dead_after=3 * _NEVER),
    )
    await server.start()
    yield server.port, bus


async def _connect(port: int, channel: str) -> socket.socket:
    """Connect a client and subscribe it; it is read and written by hand from then on."""
    loop = get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    await loop.sock_connect(client, (_HOST, port))
    await loop.sock_sendall(client, _REQUEST)
    established = await _read_until(client, b"socket_id")
    match = _SOCKET_ID.search(established)
    assert match is not None
    signature = sign_channel(_SECRET.encode(), match[1].decode(), channel, None)
    data = {"channel": channel, "auth": f"{_APP}:{signature}"}
    message = json.dumps({"event": "pusher:subscribe", "data": data}).encode()
    await loop.sock_sendall(client, Frame(Opcode.TEXT, message).serialize(mask=True))
    await _read_until(client, b"subscription_succeeded")
    return client


async def _read_until(client: socket.socket, text: bytes) -> bytes:
    received = b""
    while text not in received:
        chunk = await get_running_loop().sock_recv(client, _READ)
        if not chunk:
            raise WorkError(f"the edge closed a client: {received!r}")
        received += chunk
    return received


async def _pass_turns() -> None:
    for _ in range(_TURNS):
        await sleep(0)


def _read_all(client: socket.socket) -> int:
    """Read what has come, and tell how many bytes that is."""
    received = 0
    with contextlib.suppress(BlockingIOError):
        while chunk := client.recv(_READ):
            received += len(chunk)
    return received


def _expect(received: int, expected: int) -> None:
    if received != expected:
        raise WorkError(f"a client received {received} bytes, not {expected}")
