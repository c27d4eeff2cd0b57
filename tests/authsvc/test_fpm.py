"""Connections to php-fpm: how many there are, which are kept, and what becomes of broken ones."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pogo.authsvc import fastcgi_upstream
from tests.authsvc.helpers import ScriptedServer, Service, channel_auth, eventually
from tests.php_fpm import PhpFpm


@pytest.fixture(name="own_fpm")
async def _own_fpm(tmp_path: Path) -> AsyncIterator[PhpFpm]:
    """Run a php-fpm that may be killed."""
    async with PhpFpm(tmp_path / "fpm", children=2) as fpm:
        yield fpm


def _service(fpm: PhpFpm, script: str, **overrides: object) -> Service:
    defaults = {"auth_upstream": fpm.upstream, "auth_script": script, "auth_connections": 2}
    return Service(**{**defaults, **overrides})


def _complete(output: bytes) -> bytes:
    records = struct.pack("!BBHHBx", 1, 6, 1, len(output), 0) + output
    return records + struct.pack("!BBHHBx", 1, 3, 1, 8, 0) + bytes(8)


def _signed() -> bytes:
    return _complete(b'Status: 200 OK\r\n\r\n{"auth":"%s"}' % channel_auth().encode())


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read a whole FastCGI request: up to the empty record that ends its body."""
    data = b""
    while True:
        header = await reader.readexactly(8)
        _, kind, _, length, padding = struct.unpack("!BBHHBx", header)
        data += await reader.readexactly(length + padding)
        if kind == 5 and not length:
            return data


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await _request(reader)
        writer.write(_signed())


def _scripted(server: ScriptedServer, **overrides: object) -> Service:
    return Service(auth_upstream=f"fastcgi://127.0.0.1:{server.port}", **overrides)


async def test_connections_are_kept() -> None:
    """One after the other, all requests take one connection."""
    async with ScriptedServer(_answer_all) as server, _scripted(server) as service:
        for _ in range(50):
            assert 200 == (await service.ask()).status

        assert 1 == server.accepted


async def test_connections_that_rest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of php-fpm is given back while nothing is asked; what is asked takes its time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if b"slow" in await _request(reader):
                await asyncio.sleep(0.3)
            writer.write(_signed())

    monkeypatch.setattr(fastcgi_upstream, "KEEP_ALIVE", 0.1)
    async with ScriptedServer(serve) as server, _scripted(server) as service:
        assert 200 == (await service.ask()).status
        assert 200 == (await service.ask(x="slow")).status
        assert 1 == server.accepted
        await eventually(lambda: server.open == 0)

        assert 200 == (await service.ask()).status
        assert 2 == server.accepted


async def test_request_after_a_rest_has_all_of_its_time(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To php-fpm, the time without a request is part of the next one: it would end it too soon."""
    monkeypatch.setattr(fastcgi_upstream, "KEEP_ALIVE", 0.3)
    async with PhpFpm(tmp_path, children=2, terminate_after=2) as fpm:
        async with _service(fpm, script) as service:
            assert 200 == (await service.ask()).status
            await asyncio.sleep(1.6)
            assert 200 == (await service.ask(behave="sleep:1200")).status
        assert "terminating" not in fpm.log.read_text()


async def test_no_more_connections_than_allowed() -> None:
    """However many ask, and though some time out or go away."""
    most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        while True:
            request = await _request(reader)
            most = max(most, server.open)
            if b"slow" in request:
                await asyncio.sleep(0.3)
            writer.write(_signed())

    async with (
        ScriptedServer(serve) as server,
        _scripted(server, auth_connections=3, auth_timeout=0.2) as service,
    ):
        slow = [asyncio.create_task(service.ask(x="slow")) for _ in range(2)]
        for _ in range(5):
            replies = await asyncio.gather(*(service.ask() for _ in range(40)))
            assert {200, 503} >= {reply.status for reply in replies}
        assert {504} == {reply.status for reply in await asyncio.gather(*slow)}

        assert most == server.accepted == 3


@pytest.mark.parametrize("tcp", [False, True])
async def test_kept_connections_of_a_restarted_server(
    tmp_path: Path, script: str, *, tcp: bool
) -> None:
    """Nobody notices that php-fpm was restarted while nothing was asked."""
    async with PhpFpm(tmp_path, children=2, tcp=tcp) as fpm, _service(fpm, script) as service:
        for _ in range(2):
            replies = await asyncio.gather(service.ask(), service.ask())
            assert [200, 200] == [reply.status for reply in replies]
            await fpm.stop()
            await fpm.start()

        assert 200 == (await service.ask()).status
        assert 0 == service.metric("auth_failures_total", reason="unreachable")


async def test_server_that_closes_as_it_is_asked() -> None:
    """A kept connection on which nothing comes back any more is replaced, once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(_signed())
        await _request(reader)

    async with ScriptedServer(serve) as server, _scripted(server) as service:
        for _ in range(4):
            assert 200 == (await service.ask()).status

        assert 4 == server.accepted


async def test_request_that_kills_is_tried_twice_at_the_most(own_fpm: PhpFpm, script: str) -> None:
    """What a script does to its process, it does not do to all of them."""
    async with _service(own_fpm, script) as service:
        await asyncio.gather(service.ask(behave="sleep:50"), service.ask(behave="sleep:50"))
        assert 502 == (await service.ask(behave="die-silently")).status
        await own_fpm.until_logged("exited on signal 9")

        exits = own_fpm.log.read_text().count("exited on signal 9")
        assert 1 <= exits <= 2
        assert 200 == (await service.ask()).status


async def test_killed_in_its_answer(own_fpm: PhpFpm, script: str) -> None:
    """Half an answer is none; nobody is asked again, and the next request has a connection."""
    async with _service(own_fpm, script) as service:
        assert 200 == (await service.ask()).status
        assert 502 == (await service.ask(behave="die")).status

        assert 1 == service.metric("auth_failures_total", reason="unreachable")
        assert 200 == (await service.ask()).status


async def test_time_out(own_fpm: PhpFpm, script: str) -> None:
    """The client is told in time; until the child is done, its connection is taken."""
    async with _service(own_fpm, script, auth_connections=1, auth_timeout=0.3) as service:
        pid = (await service.ask(behave="pid")).headers["Set-Cookie"]
        began = time.monotonic()
        assert 504 == (await service.ask(behave="sleep:600")).status
        assert 0.25 < time.monotonic() - began < 0.55

        assert 1 == service.metric("auth_requests_active")
        began = time.monotonic()
        reply = await service.ask()
        assert 503 == reply.status
        assert int(reply.headers["Retry-After"]) >= 1
        assert time.monotonic() - began < 0.05
        await eventually(lambda: service.metric("auth_requests_active") == 0)
        assert pid == (await service.ask(behave="pid")).headers["Set-Cookie"]


async def test_shed_when_full(own_fpm: PhpFpm, script: str) -> None:
    """More than there may be are refused at once."""
    async with _service(own_fpm, script, max_concurrent_auth=3) as service:
        asking = [asyncio.create_task(service.ask(behave="sleep:300")) for _ in range(3)]
        await eventually(lambda: service.metric("auth_requests_active") == 3)
        began = time.monotonic()
        reply = await service.ask()

        assert (503, "1") == (reply.status, reply.headers["Retry-After"])
        assert time.monotonic() - began < 0.05
        assert [200] * 3 == [(await task).status for task in asking]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"", _complete(b"no headers")])
async def test_server_that_speaks_something_else(answer: bytes) -> None:
    """It is said so, and its connection is not used again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(answer)

    async with ScriptedServer(serve) as server, _scripted(server) as service:
        for asked in range(1, 4):
            assert 502 == (await service.ask()).status
            assert asked == server.accepted


@pytest.mark.parametrize("header", [b"Set-Cookie: a\nb", b"Set-Cookie: \xff", b"Retry-After: \x01"])
async def test_headers_that_cannot_be_passed_on(header: bytes) -> None:
    """A worker writes no headers but those it may."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(_complete(header + b'\r\n\r\n{"auth":"%s"}' % channel_auth().encode()))

    async with ScriptedServer(serve) as server, _scripted(server) as service:
        assert 502 == (await service.ask()).status
        assert 1 == service.metric("auth_failures_total", reason="invalid_answer")


async def test_speaks_out_of_turn() -> None:
    """What nobody asked for is not taken for the answer of the next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(_signed())
        await answered.wait()
        writer.write(_complete(b'Status: 200 OK\r\n\r\n{"auth":"stale"}'))
        await _request(reader)

    answered = asyncio.Event()
    async with ScriptedServer(serve) as server, _scripted(server) as service:
        for asked in range(1, 4):
            answered.clear()
            assert {"auth": channel_auth()} == (await service.ask()).json
            answered.set()
            await eventually(lambda: server.open == 0)
            assert asked == server.accepted


async def test_server_that_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one that is not there, sooner than one that does not answer."""
    monkeypatch.setattr(fastcgi_upstream, "CONNECT_TIMEOUT", 0.2)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # What the kernel keeps for a server that accepts nothing.
        for filling in (first, second):
            filling.settimeout(0)
            filling.connect_ex(full.getsockname())
        async with Service(auth_upstream=f"fastcgi://127.0.0.1:{full.getsockname()[1]}") as service:
            began = time.monotonic()
            assert 502 == (await service.ask()).status
            assert time.monotonic() - began < 1


@pytest.mark.parametrize("upstream", ["fastcgi://{}/none.sock", "fastcgi://127.0.0.1:1"])
async def test_server_that_is_not_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], upstream: str
) -> None:
    """The log says where nobody was found; the client is not told."""
    url = upstream.format(tmp_path)
    async with Service(auth_upstream=url) as service:
        reply = await service.ask()

    where = url.removeprefix("fastcgi://")
    assert (502, "the application cannot be reached") == (reply.status, reply.json["error"])
    assert f"cannot connect to {where}: " in capfd.readouterr().out


async def test_breaker(own_fpm: PhpFpm, script: str) -> None:
    """A php-fpm that is gone is left alone; back again, it is found again."""
    async with _service(own_fpm, script, auth_breaker_wait=0.5) as service:
        assert 200 == (await service.ask()).status
        own_fpm.kill()
        assert [502] * 5 == [(await service.ask()).status for _ in range(5)]
        reply = await service.ask()

        assert (503, "1") == (reply.status, reply.headers["Retry-After"])
        assert "open" == (await service.send("GET", "/up")).json["circuit"]
        assert 1 == service.metric("circuit_breaker_open_total")
        assert 0 == service.metric("auth_circuit_closed")
        assert 1 == service.metric("auth_failures_total", reason="circuit_open")
        await own_fpm.start()
        await asyncio.sleep(0.5)
        assert 200 == (await service.ask()).status
        assert 1 == service.metric("auth_circuit_closed")
