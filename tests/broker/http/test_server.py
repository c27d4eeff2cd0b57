import asyncio
import errno
import logging
import socket
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pogo.broker.http import HttpServer, bodies, server
from pogo.bus.memory import MemoryBus
from tests.broker.helpers import HeldBus, make_settings, memory_bus, until
from tests.broker.http.helpers import (
    BATCH,
    BODY,
    CHANNELS,
    EVENTS,
    Api,
    connect,
    held,
    item,
    running_api,
    trigger,
)
from tests.servers import HOST


def refuses(api: Api) -> bool:
    """Tell whether nobody can connect any more."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, api.server.port)) == errno.ECONNREFUSED


@pytest_asyncio.fixture(name="api")
async def _api() -> AsyncIterator[Api]:
    async with memory_bus() as bus, running_api(bus) as api:
        yield api


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", EVENTS, "POST"),
        ("HEAD", EVENTS, "POST"),
        ("PUT", EVENTS, "POST"),
        ("OPTIONS", BATCH, "POST"),
        ("POST", CHANNELS, "GET"),
        ("HEAD", CHANNELS, "GET"),
        ("DELETE", f"{CHANNELS}/news", "GET"),
        ("POST", f"{CHANNELS}/presence-a/users", "GET"),
        ("POST", "/apps/shop/connections", "GET"),
        ("GET", "/apps/shop/users/1/terminate_connections", "POST"),
        ("GET", "/users/1/terminate_connections", "POST"),
    ],
)
async def test_methods(api: Api, method: str, path: str, allowed: str) -> None:
    """Another method than the path's is 405, and the answer says which one is right."""
    reply = await api.backend.request(method, path)

    assert (405, allowed) == (reply.status, reply.headers["Allow"])
    assert method == "HEAD" or reply.body == {"error": f"this path takes {allowed}"}


@pytest.mark.parametrize("path", ["/", "/apps", "/apps/shop", "/apps/shop/event", "/app/shop-key"])
async def test_paths_where_nothing_is(api: Api, path: str) -> None:
    """They are 404 with a sentence like everything else."""
    reply = await api.backend.get(path)

    assert (404, "there is nothing at this path") == reply.error
    assert ("application/json", "Pogo") == (reply.headers["Content-Type"], reply.headers["Server"])


@pytest.mark.parametrize(
    "target",
    [
        b"/apps/\xff/events?auth_key=\xff",
        b"/apps/shop/events?auth_key=\xed\xa0\x80",
        b"/apps/shop/events?auth_key=shop-key&auth_version=1.0&auth_timestamp=%s&auth_signature=%%FF",
        b"/apps/shop/events?auth_key=shop-key&auth_version=1.0&auth_timestamp=%s&%%ED%%A0%%80=&auth_signature=",
        b"/apps/%ED%A0%80/events",
        b"//apps//events",
        b"/apps/shop/events?%%",
        b"/apps/shop/events?&&==&=",
        b"*",
        b"http://other/apps/shop/events",
        b"/apps/shop/events#auth_key=shop-key",
        b"/apps/shop/events?" + b"a" * 8000,
        b"/apps/shop/events?" + b"a" * 9000,
    ],
)
async def test_targets_that_nobody_sends(api: Api, target: bytes) -> None:
    """Whatever a target is made of, the answer is that it is wrong."""
    if b"%s" in target:
        target = target % str(int(time.time())).encode()
    async with connect(api) as raw:
        raw.writer.write(b"POST %b HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n" % target)
        status, _ = await raw.answer()

    assert status in (400, 401, 404)


async def test_requests_are_counted(api: Api) -> None:
    """By what they asked, and what they were answered."""
    await api.backend.post(EVENTS, trigger())
    await api.backend.post(EVENTS, trigger())
    await api.backend.post(EVENTS, trigger(), secret="x")
    await api.backend.get("/apps/shop/secret-path")
    counted = {
        (endpoint, status): api.broker.metrics.get_sample_value(
            "pogo_websocket_http_requests_total", {"endpoint": endpoint, "status": status}
        )
        for endpoint in ("events", "none")
        for status in ("200", "401", "404")
    }

    assert {("events", "200"): 2.0, ("events", "401"): 1.0, ("none", "404"): 1.0} == {
        label: count for label, count in counted.items() if count
    }


async def test_health() -> None:
    """`/up` and `/pogo/health` say whether events are taken, and why not."""
    bus = MemoryBus()
    async with running_api(bus) as api:
        away = await api.backend.send("GET", "/up")
        await bus.start()
        well = await api.backend.send("GET", "/pogo/health?x=1")
        head = await api.backend.send("HEAD", "/up")
        posted = await api.backend.send("POST", "/up")
    await bus.close()

    assert (503, {"status": "unavailable", "reason": "the bus is away"}) == (away.status, away.body)
    assert (200, {"status": "ok"}) == (well.status, well.body)
    assert (200, 404) == (head.status, posted.status)


async def test_many_requests_on_one_connection(api: Api) -> None:
    """A connection is kept, also after a refusal, and requests may be sent ahead."""
    async with connect(api) as raw:
        length = f"Content-Length: {len(BODY)}"
        for query in ("", "auth_key=x", "", ""):
            raw.head(length, query=query)
            raw.writer.write(BODY)
        answers = [await raw.answer() for _ in range(4)]

    assert [200, 401, 200, 200] == [status for status, _ in answers]


async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a whole head is closed when an idle one is."""
    monkeypatch.setattr(server, "KEEP_ALIVE", 0.2)
    async with memory_bus() as bus, running_api(bus) as api, connect(api) as raw:
        raw.writer.write(b"POST /apps/shop/events HTTP/1.1\r\nHost: ")

        assert b"" == await raw.reader.read()


async def test_what_clients_do_is_not_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Who hangs up in the middle, or speaks no HTTP, is no fault of ours."""
    caplog.set_level(logging.DEBUG, "pogo.broker.http")
    with capture_logs() as logs:
        async with connect(api) as raw:
            raw.head(f"Content-Length: {len(BODY)}")
            raw.writer.write(BODY[:10])
            await until(lambda: held(api) == 10)
            raw.writer.transport.abort()
        await until(lambda: held(api) == 0)
        async with connect(api) as raw:
            raw.writer.write(b"\x16\x03\x01 hello\r\n\r\n")
            assert 400 == (await raw.answer())[0]
        async with connect(api) as raw:
            raw.head("Transfer-Encoding: chunked")
            raw.writer.write(b"nonsense\r\n")
            assert 400 == (await raw.answer())[0]
        await api.backend.request("POST", EVENTS, b"{")

    assert [] == logs
    assert [] == [record.getMessage() for record in caplog.records]


async def test_a_failure_of_ours_is_answered_and_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks, the client gets a status, and we the reason."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(api.broker.server.publisher, "publish", broken)
    with capture_logs() as logs:
        reply = await api.backend.post(EVENTS, trigger())
        batch = await api.backend.post(BATCH, {"batch": [item()]})

    assert [(500, "the server failed")] * 2 == [reply.error, batch.error]
    assert ["a request of the HTTP API failed"] * 2 == [line["event"] for line in logs]


async def test_requests_are_answered_before_it_stops() -> None:
    """Who stops the server keeps nobody waiting, and cuts nobody off."""
    bus = HeldBus()
    await bus.start()
    async with running_api(bus) as api, connect(api) as idle:
        waiting = asyncio.create_task(api.backend.post(EVENTS, trigger()))
        await bus.arrived.wait()
        stopping = asyncio.create_task(api.server.stop())
        closed = await idle.reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, api.server.port)
        bus.released.set()
        reply = await waiting
        await stopping
        await api.server.stop()
    await bus.close()

    assert b"" == closed
    assert (200, "close") == (reply.status, reply.headers["Connection"])


async def test_a_body_on_its_way_when_it_stops() -> None:
    """It may still come, and is published, whichever connection it is on."""
    async with memory_bus() as bus, running_api(bus) as api, connect(api) as raw:
        raw.head(f"Content-Length: {len(BODY)}")
        raw.writer.write(BODY[:9])
        await until(lambda: held(api) == 9)
        stopping = asyncio.create_task(api.server.stop())
        await until(lambda: refuses(api))
        raw.writer.write(BODY[9:])
        answer = await raw.answer()
        await stopping
        ended = await raw.reader.read()

    assert ((200, b"{}"), b"") == (answer, ended)


async def test_a_body_that_does_not_come_when_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops the server does not wait for it as long as else, and its client is told."""
    monkeypatch.setattr(bodies, "LAST_BODIES_TIMEOUT", 0.2)
    monkeypatch.setattr(server, "LINGERING", 0.1)
    async with (
        memory_bus() as bus,
        running_api(bus) as api,
        connect(api) as early,
        connect(api) as late,
    ):
        early.head(f"Content-Length: {len(BODY)}")
        early.writer.write(BODY[:9])
        await until(lambda: held(api) == 9)
        stopping = asyncio.create_task(api.server.stop())
        late.head(f"Content-Length: {len(BODY)}")
        late.writer.write(BODY[:9])
        answers = [await early.answer(), await late.answer()]
        async with asyncio.timeout(5):
            await stopping

    assert [(408, b'{"error":"the body did not come in time"}')] * 2 == answers


async def test_a_broker_that_has_stopped(api: Api) -> None:
    """In one process with an edge, requests may still come: each is told to try elsewhere."""
    await api.broker.server.stop()
    published = await api.backend.post(EVENTS, trigger())
    asked = await api.backend.get(CHANNELS)
    health = await api.backend.send("GET", "/up")

    assert (503, "the broker is shutting down: not sent") == published.error
    assert (503, "the edges cannot be asked now: answers are not heard here") == asked.error
    assert (503, "the broker is shutting down") == (health.status, health.body["reason"])


async def test_a_port_that_is_taken(api: Api) -> None:
    """It is an error of the system's, and nothing stays open."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        settings = make_settings(port=taken.getsockname()[1])
        second = HttpServer(settings, api.broker.server.http_api, lambda: "")
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await second.stop()
