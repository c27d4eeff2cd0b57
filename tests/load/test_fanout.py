"""One edge, a thousand clients, a hundred events a second: all of them, in order, in no memory.

The edge runs as `pogo serve` in a process of its own. Since every subscriber of a channel gets the
same bytes, a client need not parse: it compares what it receives with what there should be.
"""

import asyncio
import resource
import time
from pathlib import Path
from typing import cast

import pytest
import uvloop
from websockets.frames import Frame, Opcode

from pogo.client import AsyncClient
from pogo.edge.websocket import frame_text
from pogo.pusher.frames import encode_event, subscription_succeeded
from tests.e2e.cluster import Service
from tests.edge.raw import REQUEST

CLIENTS = 1000
RATE = 100
SECONDS = 30
CHANNEL = "load"
APP = {"POGO_APP_ID": "load", "POGO_APP_SECRET": "load-test-secret"}
SUBSCRIBE = Frame(
    Opcode.TEXT, b'{"event":"pusher:subscribe","data":{"channel":"%b"}}' % CHANNEL.encode()
).serialize(mask=True)

pytestmark = pytest.mark.load


def _data(number: int) -> str:
    return f'{{"number":"{number:08}","text":"{"x" * 150}"}}'


class _Stream:
    """What every client should receive after its greeting, and how many have received it all."""

    def __init__(self) -> None:
        answer = frame_text(subscription_succeeded(CHANNEL))
        events = (encode_event("tick", CHANNEL, _data(n)) for n in range(RATE * SECONDS))
        self.start = len(answer)
        self.expected = answer + b"".join(frame_text(event) for event in events)
        self.subscribed = 0
        self.complete = 0
        self.changed = asyncio.Event()

    async def all_of(self, count: str) -> None:
        """Wait until all clients have come that far."""
        while getattr(self, count) < CLIENTS:
            self.changed.clear()
            await self.changed.wait()


class _Subscriber(asyncio.Protocol):
    """One client, that knows where in the stream it is."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._at = -1
        self._head = b""
        self.problem = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A uvloop transport is one by its methods only.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(REQUEST.format(APP["POGO_APP_ID"]).encode())

    def data_received(self, data: bytes) -> None:
        if self._at < 0:
            self._greet(data)
            return
        stream = self._stream
        end = self._at + len(data)
        if not self.problem and stream.expected[self._at : end] != data:
            self.problem = f"at {self._at}: {data[:300]!r}"
        if self._at < stream.start <= end:
            stream.subscribed += 1
            stream.changed.set()
        self._at = end
        if end == len(stream.expected):
            stream.complete += 1
            stream.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.problem = self.problem or f"lost at {self._at}: {exc}"
        self._stream.changed.set()

    def _greet(self, data: bytes) -> None:
        """Wait for the greeting, and subscribe."""
        self._head += data
        if self._head.endswith(b'"}'):
            self._at = 0
            self.transport.write(SUBSCRIBE)


def _memory(pid: int) -> int:
    """Tell the resident memory of a process, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _cpu_seconds(pid: int) -> float:
    """Tell the CPU time that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def _publish_all(broker: str) -> None:
    """Publish at the rate, one call an event, each of them confirmed."""
    async with AsyncClient(
        broker, app_id=APP["POGO_APP_ID"], secret=APP["POGO_APP_SECRET"]
    ) as client:
        start = time.monotonic()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(start + number / RATE - time.monotonic())
            await client.publish(CHANNEL, "tick", _data(number))


async def _run(service: Service) -> None:
    stream = _Stream()
    loop = asyncio.get_running_loop()
    subscribers: list[_Subscriber] = []
    try:
        for _ in range(CLIENTS):
            _, subscriber = await loop.create_connection(
                lambda: _Subscriber(stream), "127.0.0.1", service.port
            )
            subscribers.append(subscriber)
        await _compare(service, stream, subscribers)
    finally:
        for subscriber in subscribers:
            subscriber.transport.close()


async def _compare(service: Service, stream: _Stream, subscribers: list[_Subscriber]) -> None:
    async with asyncio.timeout(30):
        await stream.all_of("subscribed")
    memory, cpu = _memory(service.pid), _cpu_seconds(service.pid)
    async with asyncio.timeout(SECONDS + 30):
        await _publish_all(service.grpc)
        await stream.all_of("complete")
    memory_after, cpu = _memory(service.pid), _cpu_seconds(service.pid) - cpu
    deliveries = CLIENTS * RATE * SECONDS
    print(  # noqa: T201 - the figures are half of what this test is for
        f"{deliveries:,} deliveries, {cpu / deliveries * 1e6:.2f} µs of CPU each; "
        f"memory {memory:,} KiB before and {memory_after:,} KiB after"
    )

    assert [] == [subscriber.problem for subscriber in subscribers if subscriber.problem]
    assert abs(memory_after - memory) <= 0.05 * memory


@pytest.mark.timeout(180)
def test_a_thousand_clients(tmp_path: Path) -> None:
    """Every event arrives at every client in order; memory stays as it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    settings = {**APP, "POGO_HANDSHAKE_RATE": "-1"}
    service = Service("serve", settings, tmp_path / "serve.log")
    try:
        uvloop.run(_run(service))
        assert [] == service.errors()
    finally:
        service.stop()
