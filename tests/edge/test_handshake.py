import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tests.edge.helpers import KEY, SECRET, Client, Edge, running_edge

HANDSHAKE = (
    b"GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(name="edge")
async def _edge() -> AsyncIterator[Edge]:
    async with running_edge() as edge:
        yield edge


async def _http(edge: Edge, request: bytes, *, until: bytes = b"") -> bytes:
    """Send bytes; receive until the server closes, or until some bytes have come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port)
    writer.write(request)
    received = b""
    try:
        async with asyncio.timeout(5):
            while chunk := await reader.read(65536):
                received += chunk
                if until and until in received:
                    break
    finally:
        writer.close()
        await writer.wait_closed()
    return received


async def test_first_message(edge: Edge) -> None:
    """A client gets a socket id of its own."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        assert one.socket_id != two.socket_id
        assert 2.0 == edge.metric("connections_active")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/app/unknown?protocol=7", 4001),
        ("/app/a/b?protocol=7", 4005),
        ("/elsewhere?protocol=7", 4005),
        (f"/app/{KEY}?protocol=x", 4006),
        (f"/app/{KEY}?protocol=99", 4007),
        (f"/app/{KEY}", 4008),
    ],
)
async def test_refused_in_the_protocols_terms(edge: Edge, path: str, code: int) -> None:
    """The handshake is accepted, and the connection closed with an error and its code."""
    async with Client(f"ws://127.0.0.1:{edge.server.port}{path}") as client:
        closed, messages = await client.closed()

    assert code == closed
    assert [("pusher:error", code)] == [
        (message["event"], message["data"]["code"]) for message in messages
    ]
    assert 1.0 == edge.metric("handshakes_total", outcome=str(code))


async def test_disabled_app() -> None:
    """An app that is switched off closes with 4003."""
    apps = [{"id": "a", "secret": SECRET, "enabled": False}]
    async with running_edge(apps=apps) as edge, Client(edge.url("a")) as client:
        assert 4003 == (await client.closed())[0]


async def test_quota_of_an_app() -> None:
    """One more than the app may have is closed with 4004, until one goes."""
    apps = [{"id": "a", "secret": SECRET, "max_connections": 1}, {"id": "b", "secret": SECRET}]
    async with running_edge(apps=apps) as edge, Client(edge.url("b")):
        async with Client(edge.url("a")), Client(edge.url("a")) as second:
            assert 4004 == (await second.closed())[0]
        async with Client(edge.url("a")) as third:
            assert third.socket_id


async def test_capacity_of_the_edge() -> None:
    """One more than the edge may have is closed with 4100, after which clients wait."""
    async with running_edge(max_connections=1) as edge, Client(edge.url()) as first:
        assert first.socket_id
        async with Client(edge.url()) as second:
            assert 4100 == (await second.closed())[0]


async def test_origins() -> None:
    """A page of a foreign origin is closed with 4009; what is no browser may connect."""
    apps = [
        {"id": "a", "secret": SECRET, "allowed_origins": ["https://*.example.com"]},
        {"id": "b", "secret": SECRET},
    ]
    async with running_edge(apps=apps, allowed_origins=["b.test"]) as edge:
        async with Client(edge.url("a"), origin="https://evil.test") as foreign:
            assert 4009 == (await foreign.closed())[0]
        async with Client(edge.url("b"), origin="https://www.example.com") as foreign:
            assert 4009 == (await foreign.closed())[0]
        async with (
            Client(edge.url("a"), origin="https://www.example.com") as own,
            Client(edge.url("b"), origin="http://b.test:8080") as default,
            Client(edge.url("a")) as server_side,
        ):
            assert own.socket_id
            assert default.socket_id
            assert server_side.socket_id


async def test_handshake_rate() -> None:
    """More handshakes than the rate allows are refused before the upgrade."""
    async with running_edge(handshake_rate=0.001, handshake_burst=2) as edge:
        answers = [await _http(edge, HANDSHAKE, until=b"\r\n") for _ in range(3)]
        page = await _http(edge, b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n")

        assert [b"101", b"101", b"429"] == [answer[9:12] for answer in answers]
        assert b"Retry-After: 1" in answers[2]
        assert b"200" == page[9:12]
        assert 1.0 == edge.metric("handshakes_total", outcome="429")


async def test_handshake_rate_behind_a_proxy() -> None:
    """A trusted proxy's clients are told apart; anyone else's header is not believed."""
    forged = HANDSHAKE.replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 203.0.113.%d")
    for trusted, codes in (("127.0.0.0/8", [b"101", b"101"]), ("10.0.0.0/8", [b"101", b"429"])):
        async with running_edge(
            handshake_rate=0.001, handshake_burst=1, trusted_proxies=[trusted]
        ) as edge:
            answers = [await _http(edge, forged % n, until=b"\r\n") for n in (1, 2)]

            assert codes == [answer[9:12] for answer in answers]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /app/app-key HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (HANDSHAKE.replace(b"GET", b"POST"), b"405"),
        (HANDSHAKE.replace(b": 13", b": 12"), b"400"),
        (HANDSHAKE.replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"short"), b"400"),
        (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"505"),
        (HANDSHAKE.replace(b"Host: x", b"Host x"), b"400"),
        (HANDSHAKE.replace(b"Host: x", b"X: " + b"x" * 9000), b"431"),
        (b"GET /app/" + b"x" * 20000, b"431"),
    ],
)
async def test_bad_http(edge: Edge, request_bytes: bytes, status: bytes) -> None:
    """What is no handshake gets an HTTP error, and the edge goes on."""
    answer = await _http(edge, request_bytes)

    assert status == answer[9:12]
    async with Client(edge.url()) as client:
        await client.silent()


async def test_slow_handshake() -> None:
    """A client that does not finish its request is refused."""
    async with running_edge(handshake_timeout=0.5) as edge:
        answer = await _http(edge, HANDSHAKE[:50])

    assert b"408" == answer[9:12]


async def test_bytes_after_the_request(edge: Edge) -> None:
    """What a client sends ahead of the answer is read."""
    ping = b"\x81\x97\0\0\0\0" + b'{"event":"pusher:ping"}'
    answer = await _http(edge, HANDSHAKE + ping, until=b"pusher:pong")

    assert b"101" == answer[9:12]


async def test_request_in_pieces(edge: Edge) -> None:
    """A request may arrive byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in HANDSHAKE:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)

    assert b"HTTP/1.1 101 Switching Protocols\r\n" == await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_health(edge: Edge) -> None:
    """Both pages tell that the edge serves, and close their connection."""
    async with aiohttp.ClientSession() as session:
        for path in ("/up", "/pogo/health"):
            async with session.get(edge.http(path)) as answer:
                assert 200 == answer.status
                assert {"status": "ok"} == await answer.json()
                assert "close" == answer.headers["Connection"]


@pytest.mark.parametrize("path", ["/apps/shop/events?auth_key=k", "/users/7/terminate_connections"])
async def test_an_edge_taken_for_a_broker(path: str) -> None:
    """It says who answers the HTTP API."""
    async with running_edge() as edge, aiohttp.ClientSession() as session:
        async with session.post(edge.http(path), data=b"{}") as answer:
            told = await answer.json()

        assert 404 == answer.status
        assert "brokers" in told["error"]


async def test_pages() -> None:
    """Somebody else's pages are served on the same port, with their bodies."""

    async def _echo(request: web.Request) -> web.Response:
        return web.Response(text=(await request.text()).upper())

    pages = web.Application()
    pages.router.add_post("/echo", _echo)
    body = "x" * 100_000
    async with running_edge(pages=pages) as edge, aiohttp.ClientSession() as session:
        async with session.post(edge.http("/echo"), data=body) as answer:
            assert body.upper() == await answer.text()
        async with session.get(edge.http("/nothing")) as answer:
            assert 404 == answer.status


async def test_a_page_whose_client_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    """A body that breaks off, or cannot be decoded, is the client's fault: no error is logged."""

    async def _read(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    pages = web.Application()
    pages.router.add_post("/read", _read)
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    async with running_edge(pages=pages) as edge, aiohttp.ClientSession() as session:
        for rest in (b"\r\nbroken off", b"Content-Encoding: gzip\r\n\r\n" + b"x" * 100):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port)
            writer.write(head + rest)
            if rest.startswith(b"Content"):
                assert b"400" == (await reader.read())[9:12]
            writer.close()
            await writer.wait_closed()
        async with session.post(edge.http("/read"), data="x") as answer:
            assert "x" == await answer.text()

    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]
