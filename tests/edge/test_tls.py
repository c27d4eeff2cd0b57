"""Connections with TLS: all that is written goes through the transport, which alone can encrypt."""

import asyncio
import json
import ssl

import pytest

from pogo.tls import ServerTls
from tests.edge.helpers import KEY, Client, Edge, eventually, running_edge
from tests.servers import Certificate, make_certificate

BLOCK = "x" * 100_000


@pytest.fixture(name="certificate", scope="module")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make one certificate for all tests."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def _tls(certificate: Certificate) -> ServerTls:
    return ServerTls(str(certificate.certificate), str(certificate.key))


def _client(edge: Edge, certificate: Certificate) -> Client:
    url = f"wss://127.0.0.1:{edge.server.port}/app/{KEY}?protocol=7"
    return Client(url, ssl=ssl.create_default_context(cafile=str(certificate.certificate)))


async def test_deliveries(certificate: Certificate) -> None:
    """Everyone gets what is delivered, one subscriber as well as many."""
    async with (
        running_edge(tls=_tls(certificate)) as edge,
        _client(edge, certificate) as one,
        _client(edge, certificate) as other,
    ):
        await one.subscribe("news")
        await edge.publish("news", "first")
        await one.expect("first")
        await other.subscribe("news")
        await edge.publish("news", "second", exclude=one.socket_id)
        await edge.publish("news", "third")

        await other.expect("second")
        await other.expect("third")
        await one.expect("third")
        await one.silent()


async def test_slow_reader_gets_everything_in_order(certificate: Certificate) -> None:
    """Events and answers wait behind each other while a client does not read."""
    async with (
        running_edge(tls=_tls(certificate), max_write_buffer=50_000_000) as edge,
        _client(edge, certificate) as slow,
    ):
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()
        for number in range(100):
            await edge.publish("news", "created", json.dumps([number, BLOCK]))
            await slow.send("pusher:ping", {})
        await eventually(lambda: edge.metric("messages_total", direction="in") == 101)
        slow.socket.transport.resume_reading()
        received = [await slow.receive() for _ in range(200)]

        numbers = [json.loads(one["data"])[0] for one in received if one["event"] == "created"]
        assert list(range(100)) == numbers
        await slow.silent()


async def test_slow_reader_is_closed(certificate: Certificate) -> None:
    """Its buffer is bounded as that of any other, and the others do not wait for it."""
    async with (
        running_edge(tls=_tls(certificate), max_write_buffer=300_000) as edge,
        _client(edge, certificate) as slow,
        _client(edge, certificate) as fast,
    ):
        await fast.subscribe("news")
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()
        for _ in range(200):
            await edge.publish("news", "created", BLOCK)
            await fast.expect("created")

        assert 1.0 == edge.metric("client_dropped_messages_total", policy="close")
        assert 1.0 == edge.metric("subscriptions_active")
        slow.socket.transport.resume_reading()
        assert 4100 == (await slow.closed())[0]


async def test_slow_reader_loses_events(certificate: Certificate) -> None:
    """With the other policy it stays, and misses what its buffer has no room for."""
    async with (
        running_edge(tls=_tls(certificate), max_write_buffer=300_000, slow_consumer="drop") as edge,
        _client(edge, certificate) as slow,
    ):
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()
        for _ in range(200):
            await edge.publish("news", "created", BLOCK)
        await eventually(lambda: edge.metric("messages_total", direction="out") == 202)
        dropped = int(edge.metric("client_dropped_messages_total", policy="drop"))
        slow.socket.transport.resume_reading()

        assert 0 < dropped < 200
        for _ in range(200 - dropped):
            await slow.expect("created")
        await slow.silent()


async def test_stalled_reader_is_dropped(certificate: Certificate) -> None:
    """A client that takes nothing for `write_wait` is dropped."""
    async with (
        running_edge(
            tls=_tls(certificate),
            write_wait=2,
            ping_period=60,
            pong_wait=70,
            max_write_buffer=100_000_000,
        ) as edge,
        _client(edge, certificate) as slow,
    ):
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()
        for _ in range(100):
            await edge.publish("news", "created", BLOCK)
        await eventually(lambda: not edge.metric("connections_active"), within=10)

        assert 1.0 == edge.metric("connections_closed_total", code="stalled")
        slow.socket.transport.abort()


async def test_violations_end_the_connection(certificate: Certificate) -> None:
    """TLS cannot be closed by halves; the client is told all the same, and then it is over."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with running_edge(tls=_tls(certificate)) as edge, _client(edge, certificate) as client:
        client.socket.transport.write(b"\x83\x80\0\0\0\0")

        assert 1002 == (await client.closed())[0]
        async with asyncio.timeout(5):
            await client.socket.wait_closed()
        await eventually(lambda: not edge.metric("connections_active"))
        assert [] == failures
