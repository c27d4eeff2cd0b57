"""WebSockets and pages over TLS, on the port of an edge."""

import asyncio
import contextlib
import logging
import socket
import ssl

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.edge.helpers import Client, Edge, eventually, running_edge
from tests.servers import HOST, Certificate
from tests.tls.authority import Authority
from tests.tls.helpers import Listener, answer_to, believing, shown

_HANDSHAKE = b"\x16"
"""The first byte of a TLS record that carries a handshake (RFC 5246, section 6.2.1)."""


def _hello(version: int) -> bytes:
    """Write a ClientHello of that version and no newer one (RFC 5246, section 7.4.1.2)."""
    extensions = bytes.fromhex("000b00020100 000a000400020017 000d000400020403")
    ciphers = bytes.fromhex("c02bc009")
    body = version.to_bytes(2) + bytes(32) + b"\0" + len(ciphers).to_bytes(2) + ciphers
    body += b"\1\0" + len(extensions).to_bytes(2) + extensions
    message = b"\1" + len(body).to_bytes(3) + body
    return _HANDSHAKE + b"\3\1" + len(message).to_bytes(2) + message


def _url(edge: Edge) -> str:
    return edge.url().replace("ws:", "wss:")


async def test_events_over_tls(issued: Certificate, authority: Authority) -> None:
    """What is published arrives, whole and in order, small or larger than what a socket takes."""
    listener = Listener(issued)
    texts = [f'"{number} {"x" * size}"' for number, size in enumerate([1, 200, 60_000] * 20)]
    async with (
        running_edge(tls=listener.tls) as edge,
        Client(_url(edge), ssl=believing(authority), max_size=None) as client,
        Client(_url(edge), ssl=believing(authority), max_size=None) as other,
    ):
        for each in (client, other):
            await each.subscribe("news")
        for text in texts:
            await edge.publish("news", "headline", text)
        heard = [[(await c.expect("headline"))["data"] for _ in texts] for c in (client, other)]

    assert [texts, texts] == heard
    assert 2 == listener.outcomes["completed"]


async def test_client_events_over_tls(issued: Certificate, authority: Authority) -> None:
    """Clients are heard, too."""
    async with (
        running_edge(tls=Listener(issued).tls) as edge,
        Client(_url(edge), ssl=believing(authority)) as client,
        Client(_url(edge), ssl=believing(authority)) as other,
    ):
        for each in (client, other):
            await each.subscribe("private-room")
        await client.send("client-hello", {"a": 1}, channel="private-room")

        assert {"a": 1} == (await other.expect("client-hello"))["data"]


async def test_a_client_that_does_not_read(issued: Certificate, authority: Authority) -> None:
    """With TLS too it costs no more than its buffer, and others get everything meanwhile."""
    text = f'"{"x" * 10_000}"'
    async with (
        running_edge(tls=Listener(issued).tls, max_write_buffer=50_000) as edge,
        Client(_url(edge), ssl=believing(authority), max_queue=1) as deaf,
        Client(_url(edge), ssl=believing(authority)) as client,
    ):
        for each in (deaf, client):
            await each.subscribe("news")
        deaf.socket.transport.pause_reading()
        published = 0
        while not edge.metric("client_dropped_messages_total", policy="close"):
            await edge.publish("news", "headline", text)
            await client.expect("headline")
            published += 1
            assert published < 5_000

        assert 1 == edge.metric("connections_closed_total", code="4100")
        deaf.socket.transport.abort()


async def test_pages_over_tls(issued: Certificate, authority: Authority) -> None:
    """What is no WebSocket is answered on the same port."""
    async with (
        running_edge(tls=Listener(issued).tls) as edge,
        aiohttp.ClientSession() as session,
        session.get(f"https://{HOST}:{edge.server.port}/up", ssl=believing(authority)) as answer,
    ):
        assert 200 == answer.status
        assert {"status": "ok"} == await answer.json()


async def test_an_authority_that_is_not_believed(issued: Certificate, stranger: Authority) -> None:
    """A client that does not take the certificate is counted as such, or as gone."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls) as edge:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(HOST, edge.server.port, ssl=believing(stranger))
        await eventually(lambda: listener.settled)

    assert listener.outcomes.keys() <= {"rejected", "abandoned"}


async def test_old_versions_of_tls(issued: Certificate) -> None:
    """A client that speaks TLS 1.1 at the most is refused, and one that speaks 1.2 is answered."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls, handshake_timeout=0.5) as edge:
        old = await answer_to(edge.server.port, _hello(0x0302))
        await listener.until("failed")
        new = await answer_to(edge.server.port, _hello(0x0303))

    assert b"" == old
    assert _HANDSHAKE + b"\3\3" == new[:3]


async def test_plain_http(issued: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """A client that forgot TLS gets nothing, is counted, and is not logged as a fault of ours."""
    listener = Listener(issued)
    with capture_logs() as logs, caplog.at_level(logging.INFO):
        async with running_edge(tls=listener.tls) as edge:
            answer = await answer_to(edge.server.port, b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
            await listener.until("plain_http")

    assert b"HTTP" not in answer
    assert [] == [line for line in logs if line["log_level"] != "info"]
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_silent_client(issued: Certificate) -> None:
    """Whoever does not begin the handshake is cut off after `handshake_timeout`."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls, handshake_timeout=0.2) as edge:
        assert b"" == await answer_to(edge.server.port, b"")
        await listener.until("abandoned")

    assert 0 == listener.handshakes.under_way


async def test_a_client_that_goes_away(issued: Certificate) -> None:
    """As a balancer does that only looks whether the port is open."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls) as edge:
        with socket.create_connection((HOST, edge.server.port)):
            await eventually(lambda: listener.handshakes.under_way == 1)
        await listener.until("abandoned")


async def test_too_many_handshakes(issued: Certificate, authority: Authority) -> None:
    """No more than so many may be under way; others are closed at once, and later let in again."""
    listener = Listener(issued, limit=2)
    async with running_edge(tls=listener.tls) as edge:
        with (
            socket.create_connection((HOST, edge.server.port)),
            socket.create_connection((HOST, edge.server.port)),
        ):
            await eventually(lambda: listener.handshakes.under_way == 2)

            assert b"" == await answer_to(edge.server.port, b"")

            await listener.until("refused")
        await listener.until("abandoned", 2)
        async with Client(_url(edge), ssl=believing(authority)):
            pass

    assert {"refused": 1, "abandoned": 2, "completed": 1} == dict(listener.outcomes)


async def test_a_certificate_that_is_replaced(issued: Certificate, authority: Authority) -> None:
    """New connections are shown the new one; those that are open stay, and work."""
    listener = Listener(issued)
    async with (
        running_edge(tls=listener.tls) as edge,
        Client(_url(edge), ssl=believing(authority)) as client,
    ):
        await client.subscribe("news")
        before = await shown(edge.server.port, authority)
        authority.issue()

        assert before == await shown(edge.server.port, authority)
        assert listener.tls.reload()
        assert before != await shown(edge.server.port, authority)

        await edge.publish("news", "headline")
        await client.expect("headline")


async def test_draining_over_tls(issued: Certificate, authority: Authority) -> None:
    """A stopping edge closes its clients with 4200, as without TLS."""
    async with (
        running_edge(tls=Listener(issued).tls, shutdown_timeout=2) as edge,
        Client(_url(edge), ssl=believing(authority)) as client,
    ):
        stopping = asyncio.create_task(edge.server.stop())
        code, _ = await client.closed()
        await stopping

    assert 4200 == code


async def _until_refused(host: str, port: int) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            _, late = await asyncio.open_connection(host, port)
            late.close()


async def test_a_handshake_under_way_when_the_edge_drains(
    issued: Certificate, authority: Authority
) -> None:
    """It goes on, and the client is told when to come back: neither TLS nor HTTP refuses it."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls, shutdown_timeout=10) as edge:
        url, address = _url(edge), (HOST, edge.server.port)
        with socket.create_connection(address) as sock:
            await eventually(lambda: listener.handshakes.under_way == 1)
            stopping = asyncio.create_task(edge.server.stop())
            await _until_refused(*address)
            async with Client(url, sock=sock, ssl=believing(authority)) as client:
                code, _ = await client.closed()
        await stopping

    assert 4200 == code


async def test_a_silent_client_does_not_hold_up_a_draining_edge(issued: Certificate) -> None:
    """It is waited for, as others may be in the middle of it, but not for long."""
    listener = Listener(issued)
    async with running_edge(tls=listener.tls, shutdown_timeout=30) as edge:
        with socket.create_connection((HOST, edge.server.port)):
            await eventually(lambda: listener.handshakes.under_way == 1)
            async with asyncio.timeout(5):
                await edge.server.stop()
