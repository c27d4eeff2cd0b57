import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from pogo.edge import targets as targets_module
from pogo.edge.sending import send_all_in_python
from pogo.edge.targets import Targets
from pogo.edge.writer import SocketWriter
from tests.edge.helpers import TIMEOUT, eventually
from tests.edge.speedups import compiled_speedups


class Writer(SocketWriter):
    """A socket that remembers what happened to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.lost = asyncio.Event()
        self.dropped = 0

    @property
    def max_write_buffer(self) -> int:
        """The most bytes that may wait."""
        return 1_000_000

    def overflowed(self, events: int) -> None:
        """Count what there was no room for."""
        self.dropped += events

    def give_up(self) -> None:
        """End it."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket, as every connection does."""
        del exc
        self.end_writing()
        self.lost.set()


class Accepting(asyncio.Protocol):
    """A socket until its writer takes over."""

    def __init__(self, writers: "asyncio.Queue[Writer]") -> None:
        self._writers = writers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand it to a writer."""
        writer = Writer(cast(asyncio.Transport, transport))
        writer.take_over()
        self._writers.put_nowait(writer)


class Peer:
    """The two ends of a connection: a writer, and whoever reads."""

    def __init__(
        self, writer: Writer, reader: asyncio.StreamReader, end: asyncio.StreamWriter
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.end = end

    async def read(self, size: int) -> bytes:
        """Receive so many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(size), TIMEOUT)


class Peers:
    """Makes connections within one event loop."""

    def __init__(self) -> None:
        self._writers: asyncio.Queue[Writer] = asyncio.Queue()
        self._stack = contextlib.AsyncExitStack()
        self._peers: list[Peer] = []
        self._port = 0

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Accepting(self._writers), "127.0.0.1", 0)
        self._stack.callback(server.close)
        self._port = server.sockets[0].getsockname()[1]

    async def connect(self, client: socket.socket | None = None) -> Peer:
        """Make one more, of a socket that is there already if one is given."""
        client = client or _new_socket()
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self._port))
        reader, end = await asyncio.open_connection(sock=client, limit=1 << 16)
        peer = Peer(await asyncio.wait_for(self._writers.get(), TIMEOUT), reader, end)
        self._peers.append(peer)
        return peer

    async def stop(self) -> None:
        """Drop all connections."""
        for peer in self._peers:
            peer.writer.abort()
            await asyncio.wait_for(peer.writer.lost.wait(), TIMEOUT)
            peer.end.transport.abort()
        await self._stack.aclose()


@pytest.fixture(name="peers")
async def _peers() -> AsyncIterator[Peers]:
    """Return what makes connections."""
    peers = Peers()
    await peers.start()
    yield peers
    await peers.stop()


@pytest.fixture(name="_send_all", params=["python", "c"], autouse=True)
def _either_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test run on both twins of the innermost loop."""
    loop = send_all_in_python if request.param == "python" else compiled_speedups().send_all
    monkeypatch.setattr(targets_module, "send_all", loop)


async def test_every_part_is_written(peers: Peers) -> None:
    """A round may take several turns; everyone gets the same, once."""
    three = [await peers.connect() for _ in range(3)]
    targets = Targets(tuple(peer.writer for peer in three))
    for _ in range(2):
        targets.write(0, 1, b"abc", 1)
        targets.write(1, 3, b"abc", 1)
        targets.write(0, 3, b"def", 1)

    assert [b"abcdef" * 2] * 3 == [await peer.read(12) for peer in three]


async def test_a_descriptor_of_somebody_else(peers: Peers) -> None:
    """What a lost connection was to get in a later turn goes to nobody, however much has come."""
    three = [await peers.connect() for _ in range(3)]
    targets = Targets(tuple(peer.writer for peer in three))
    targets.write(0, 3, b"one", 1)
    targets.write(0, 2, b"two", 1)
    descriptor = three[2].writer.fd
    # Their clients' ends must not take the descriptor.
    clients = [_new_socket() for _ in range(20)]
    three[2].writer.abort()
    await asyncio.wait_for(three[2].writer.lost.wait(), TIMEOUT)
    newcomers = [await peers.connect(client) for client in clients]
    assert descriptor in [newcomer.writer.fd for newcomer in newcomers]
    targets.write(2, 3, b"two", 1)
    targets.write(0, 3, b"three", 1)
    for newcomer in newcomers:
        newcomer.writer.send(b"hello")

    assert [b"hello"] * len(newcomers) == [await newcomer.read(5) for newcomer in newcomers]
    assert [b"onetwothree"] * 2 == [await peer.read(11) for peer in three[:2]]


async def test_one_who_leaves_in_the_middle_of_a_round(peers: Peers) -> None:
    """Nothing follows what ended the writing, though the socket is still open."""
    three = [await peers.connect() for _ in range(3)]
    targets = Targets(tuple(peer.writer for peer in three))
    targets.write(0, 2, b"news", 1)
    three[2].writer.send(b"bye")
    three[2].writer.end_writing()
    targets.write(2, 3, b"news", 1)
    three[2].writer.abort()

    assert b"bye" == await asyncio.wait_for(three[2].reader.read(), TIMEOUT)


async def test_slow_readers_get_everything_in_order(peers: Peers) -> None:
    """Whether it was written directly or waited: nobody's bytes overtake each other."""
    three = [await peers.connect() for _ in range(3)]
    slow, *_ = three
    targets = Targets(tuple(peer.writer for peer in three))
    expected = bytearray()
    reading = [asyncio.create_task(_swallow(peer)) for peer in three[1:]]
    for number in range(2000):
        data = b"%06d" % number * 1000
        targets.write(0, 3, data, 1)
        slow.writer.send(b"!")
        if not slow.writer.dropped:
            expected += data + b"!"
        if slow.writer.paused and slow.writer.dropped:
            break
        await asyncio.sleep(0)

    assert slow.writer.dropped == 1
    expected += b"!"
    assert bytes(expected) == await slow.read(len(expected))
    await eventually(lambda: not slow.writer.paused)
    assert slow.writer.fd >= 0
    targets.write(0, 3, b"again", 1)
    assert b"again" == await slow.read(5)
    for task in reading:
        task.cancel()


async def test_nothing_follows_the_end_of_a_slow_reader(peers: Peers) -> None:
    """What waited is read; that nothing waits any more does not begin it anew."""
    one, slow = [await peers.connect() for _ in range(2)]
    targets = Targets((one.writer, slow.writer))
    size = await _pause(slow)
    slow.writer.end_writing()
    await slow.read(size)
    await eventually(lambda: not slow.writer.paused)
    targets.write(0, 2, b"news", 1)
    slow.writer.abort()

    assert b"" == await asyncio.wait_for(slow.reader.read(), TIMEOUT)
    assert b"news" == await one.read(4)


async def test_where_everyone_has_to_wait(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is not asked for what cannot be written directly: with TLS, that is everything."""
    two = [await peers.connect() for _ in range(2)]
    targets = Targets(tuple(peer.writer for peer in two))
    sizes = [await _pause(peer) for peer in two]
    calls: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(targets_module, "send_all", lambda *arguments: calls.append(arguments))
        targets.write(0, 1, b"news", 1)
        targets.write(1, 2, b"news", 1)

    assert [] == calls
    for peer, size in zip(two, sizes, strict=True):
        assert b"news" == (await peer.read(size + 4))[-4:]


async def test_who_cannot_be_written_to_is_dropped(peers: Peers) -> None:
    """The others do not notice."""
    three = [await peers.connect() for _ in range(3)]
    targets = Targets(tuple(peer.writer for peer in three))
    with socket.socket(fileno=os.dup(three[1].writer.fd)) as ours:
        ours.shutdown(socket.SHUT_WR)
    targets.write(0, 3, b"news", 1)

    await asyncio.wait_for(three[1].writer.lost.wait(), TIMEOUT)
    for peer in (three[0], three[2]):
        assert b"news" == await peer.read(4)


async def _pause(peer: Peer) -> int:
    """Write until bytes have to wait; returns how many were written."""
    size = 0
    while not peer.writer.paused:
        peer.writer.send(b"x" * 100_000)
        size += 100_000
    return size


def _new_socket() -> socket.socket:
    client = socket.socket()
    client.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return client


async def _swallow(peer: Peer) -> None:
    while await peer.reader.read(1 << 16):
        pass
