from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pogo.broker.http import bodies
from pogo.broker.http.bodies import BodyReader
from tests.broker.helpers import make_settings, memory_bus, until
from tests.broker.http.helpers import (
    BODY,
    EVENTS,
    Api,
    connect,
    held,
    running_api,
    sign,
)


@pytest_asyncio.fixture(name="api")
async def _api() -> AsyncIterator[Api]:
    async with memory_bus() as bus, running_api(bus) as api:
        yield api


async def test_a_body_in_pieces(api: Api) -> None:
    """However it is cut, and whether its length is known or not."""
    async with connect(api) as raw:
        raw.head(f"Content-Length: {len(BODY)}")
        for byte in BODY:
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
        counted = await raw.answer()
        raw.head("Transfer-Encoding: chunked")
        raw.writer.write(b"5\r\n" + BODY[:5] + b"\r\n")
        await raw.writer.drain()
        raw.writer.write(b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n")
        chunked = await raw.answer()

    assert [(200, b"{}"), (200, b"{}")] == [counted, chunked]
    assert 0 == held(api)


async def test_who_waits_to_send_a_body_is_asked_for_it(api: Api) -> None:
    """`Expect: 100-continue` is met once the signature is right, and not before."""
    length = f"Content-Length: {len(BODY)}"
    async with connect(api) as raw:
        raw.head(length, "Expect: 100-continue")
        invited = await raw.reader.readuntil(b"\r\n\r\n")
        raw.writer.write(BODY)
        answer = await raw.answer()
    async with connect(api) as raw:
        raw.head(length, "Expect: 100-continue", query="auth_key=shop-key")
        refused, _ = await raw.answer()

    assert b"HTTP/1.1 100 Continue\r\n\r\n" == invited
    assert (200, b"{}") == answer
    assert 401 == refused


async def test_http_1_0_knows_no_invitation(api: Api) -> None:
    """Its clients would take `100 Continue` for the answer, so they just get that."""
    query = sign("POST", EVENTS, BODY)
    head = f"POST {EVENTS}?{query} HTTP/1.0\r\nContent-Length: {len(BODY)}\r\n"
    async with connect(api) as raw:
        raw.writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode() + BODY[:9])
        await until(lambda: held(api) == 9)
        raw.writer.write(BODY[9:])

        assert (200, b"{}") == await raw.answer()


async def test_a_body_that_is_too_large(api: Api) -> None:
    """What its head announces is refused at once, what does not announce it while it arrives."""
    limit = BodyReader(make_settings()).max_event
    async with connect(api) as raw:
        raw.head(f"Content-Length: {limit + 1}")
        announced = await raw.answer()
    async with connect(api) as raw:
        raw.head("Transfer-Encoding: chunked")
        sent = 0
        while sent <= limit:
            raw.writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await raw.writer.drain()
            sent += 65_536
        arriving = await raw.answer()
    async with connect(api) as raw:
        raw.head("Content-Length: 70000", path="/apps/shop/users/1/terminate_connections")
        small = await raw.answer()

    text = (
        f'{{"error":"a body has at most {limit} bytes here","code":4,"status":"PAYLOAD_TOO_LARGE"}}'
    )
    assert [(413, text.encode())] * 2 == [announced, arriving]
    assert 413 == small[0]
    assert 0 == held(api)


async def test_large_bodies_share_a_bound(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that come slowly hold so many bytes together, and one more is 503."""
    monkeypatch.setattr(api.broker.server.http_api._bodies, "_max_held", 60_000)  # noqa: SLF001
    async with connect(api) as first, connect(api) as second:
        first.head("Content-Length: 100000")
        first.writer.write(b"x" * 50_000)
        await until(lambda: held(api) == 50_000)
        second.head("Content-Length: 100000")
        second.writer.write(b"x" * 50_000)
        refused = await second.answer()
    await until(lambda: held(api) == 0)

    assert (503, b'{"error":"the server reads too many large bodies at once"}') == refused


async def test_a_body_that_does_not_come(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has its time to send a body, and then the answer is 408."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.2)
    async with connect(api) as raw:
        raw.head(f"Content-Length: {len(BODY)}")
        raw.writer.write(BODY[:-1])
        status, _ = await raw.answer()

    assert 408 == status


async def test_compressed_bodies(api: Api) -> None:
    """A few bytes could become any number, so they are 415."""
    for encoding in ("gzip", "deflate", "identity", "nonsense"):
        reply = await api.backend.post(EVENTS, BODY, headers={"Content-Encoding": encoding})

        assert (415, "a request is not compressed") == reply.error
