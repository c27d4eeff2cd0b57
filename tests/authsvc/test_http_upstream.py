"""A worker behind HTTP: nginx, `php -S`, and servers that are neither."""

import asyncio
import gzip
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.authsvc.helpers import (
    CHANNEL,
    SOCKET_ID,
    ScriptedServer,
    Service,
    channel_auth,
    connection,
)
from tests.authsvc.nginx import Front
from tests.php_fpm import PhpFpm
from tests.servers import HOST, ServerProcess

SIGNED = b'{"auth":"%s"}' % channel_auth().encode()


class _PhpServer(ServerProcess):
    """PHP's own web server, for development."""

    name = "php -S"

    def __init__(self, directory: Path, script: str) -> None:
        super().__init__(directory)
        self._script = script

    def _command(self, port: int) -> list[str]:
        return ["php", "-S", f"{HOST}:{port}", self._script]

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # its port is its own
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True


@pytest.fixture(scope="session", name="nginx")
def _nginx(fpm: PhpFpm, script: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    nginx = Front(tmp_path_factory.mktemp("nginx"), fpm, script)
    asyncio.run(nginx.start())
    try:
        yield nginx
    finally:
        asyncio.run(nginx.stop())


@pytest.fixture(name="service")
async def _service(nginx: Front) -> AsyncIterator[Service]:
    async with Service(auth_upstream=nginx.upstream) as service:
        yield service


async def _head(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    await reader.readexactly(length)
    return head


def _scripted(server: ScriptedServer, **overrides: object) -> Service:
    return Service(auth_upstream=f"http://127.0.0.1:{server.port}", **overrides)


def _answering(answer: bytes, *, keep: bool = True) -> ScriptedServer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await _head(reader)
            writer.write(answer)
            if not keep:
                return

    return ScriptedServer(serve)


def _response(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_nginx(service: Service, nginx: Front) -> None:
    """The path of the URL stands before the path that was asked for."""
    assert {"auth": channel_auth()} == (await service.ask()).json
    assert 200 == (await service.ask(None, path="/pogo/user-auth")).status
    assert '"POST /prefix/pogo/user-auth HTTP/1.1" 200' in nginx.requests()[-1]


async def test_php_server(tmp_path: Path, script: str) -> None:
    """It closes each connection after its answer."""
    async with (
        _PhpServer(tmp_path, script) as php,
        Service(auth_upstream=f"http://{HOST}:{php.port}") as service,
    ):
        for _ in range(5):
            assert {"auth": channel_auth()} == (await service.ask()).json


@pytest.mark.parametrize("status", [401, 403, 404, 419, 422, 429])
async def test_refusals(service: Service, status: int) -> None:
    """They are passed on, as from php-fpm."""
    reply = await service.ask(behave=f"status:{status}")

    assert (status, {"error": "no"}, "7") == (
        reply.status,
        reply.json,
        reply.headers["Retry-After"],
    )
    assert ["seen=1; Path=/"] == reply.headers.getall("Set-Cookie")


async def test_redirects_are_not_followed(service: Service, nginx: Front) -> None:
    """Nobody is led anywhere else."""
    assert 403 == (await service.ask(behave="redirect")).status
    assert "/login" not in nginx.requests()[-1]


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        ("status:500", "worker_failed"),
        ("status:503", "worker_failed"),
        ("malformed", "invalid_answer"),
        ("forge", "invalid_answer"),
        ("huge:16384", "invalid_answer"),
        ("huge:999999", "invalid_answer"),
        ("die", "invalid_answer"),
        ("die-silently", "worker_failed"),
    ],
)
async def test_worker_at_fault(service: Service, behave: str, reason: str) -> None:
    """It is the same as from php-fpm."""
    assert 502 == (await service.ask(behave=behave)).status
    assert 1 == service.metric("auth_failures_total", reason=reason)


async def test_what_the_script_sees(service: Service) -> None:
    """A proxy says who its client is; the server has its own name."""
    headers = {"Host": "shop.example", "X-Forwarded-For": "1.2.3.4", "Proxy": "x", "Cookie": "a=b"}
    seen = (await service.ask(behave="tell", headers=headers)).json["server"]

    expected = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "HTTP_ACCEPT": "application/json",
        "HTTP_COOKIE": "a=b",
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_HOST": "shop.example",
        "REQUEST_METHOD": "POST",
    }
    assert expected == {name: seen.get(name) for name in expected}
    assert "HTTP_PROXY" not in seen
    assert not seen["HTTP_HOST"].startswith("shop")


async def test_trusted_proxy(nginx: Front) -> None:
    """It is one more in the chain."""
    async with Service(auth_upstream=nginx.upstream, trusted_proxies=["127.0.0.1"]) as service:
        headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "shop.example"}
        seen = (await service.ask(behave="tell", headers=headers)).json["server"]

        assert "1.2.3.4, 127.0.0.1" == seen["HTTP_X_FORWARDED_FOR"]
        assert "shop.example" == seen["HTTP_X_FORWARDED_HOST"]


async def test_bytes_that_are_no_text(service: Service) -> None:
    """They cannot be passed on, which is no failure of the worker."""
    form = f"socket_id={SOCKET_ID}&channel_name={CHANNEL}".encode()
    head = b"POST /pogo/auth HTTP/1.1\r\nHost: a\r\nCookie: a=\xff\r\nContent-Length: %d\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    for _ in range(6):
        async with connection(service.server.port) as (reader, writer):
            writer.write(head % len(form) + form)
            assert b" 200 " in await reader.readline()


async def test_connections_are_kept() -> None:
    """One after the other, all requests take one connection; and never more than allowed."""
    async with _answering(_response(SIGNED)) as server:
        async with _scripted(server) as service:
            for _ in range(20):
                assert 200 == (await service.ask()).status
            assert 1 == server.accepted
        async with _scripted(server, auth_connections=2) as service:
            await asyncio.gather(*(service.ask() for _ in range(20)))
            assert server.accepted <= 3


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"", 502, "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 502, "invalid_answer"),
        (b"\x01\x06\x00\x01\x00\x00\x00\x00", 502, "invalid_answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 502, "invalid_answer"),
        (_response(gzip.compress(SIGNED), b"Content-Encoding: gzip"), 502, "invalid_answer"),
        (_response(SIGNED, b"Set-Cookie: \xff"), 502, "invalid_answer"),
    ],
)
async def test_answers_that_are_none(answer: bytes, status: int, reason: str) -> None:
    """Each is told apart in the metrics, and the client gets its 502."""
    async with _answering(answer, keep=False) as server, _scripted(server) as service:
        assert status == (await service.ask()).status
        assert 1 == service.metric("auth_failures_total", reason=reason)


async def test_server_that_closes_as_it_is_asked() -> None:
    """A kept connection on which nothing comes back any more is replaced, once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(_response(SIGNED))
        await _head(reader)

    async with ScriptedServer(serve) as server, _scripted(server) as service:
        for _ in range(4):
            assert 200 == (await service.ask()).status

        assert 4 == server.accepted


async def test_slow_headers() -> None:
    """A server that takes connections and says nothing is a worker that takes too long."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async with ScriptedServer(serve) as server, _scripted(server, auth_timeout=0.3) as service:
        began = time.monotonic()
        assert 504 == (await service.ask()).status
        assert time.monotonic() - began < 1


async def test_nobody_there() -> None:
    """A server that is gone opens the breaker."""
    async with _answering(b"") as server:
        pass
    async with _scripted(server) as service:
        assert [502] * 5 + [503] == [(await service.ask()).status for _ in range(6)]


async def test_smuggling() -> None:
    """Whatever a client writes, the worker gets one request with one body."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await _head(reader))
            writer.write(_response(SIGNED))

    inner = b"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    form = f"socket_id={SOCKET_ID}&channel_name={CHANNEL}&x=".encode() + inner
    head = b"POST /pogo/auth HTTP/1.1\r\nHost: a\r\n"
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form)
    attempts = [
        b"Content-Length: %d\r\n\r\n" % len(form) + form,
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
        b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(form) + form,
        b"Transfer-Encoding: xchunked\r\n\r\n" + chunked,
        b"Transfer-Encoding: chunked, identity\r\n\r\n" + chunked,
    ]
    async with ScriptedServer(serve) as server, _scripted(server) as service:
        for attempt in attempts:
            async with connection(service.server.port) as (reader, writer):
                writer.write(head + kind + attempt)
                await reader.readline()

    assert {b"POST /pogo/auth HTTP/1.1"} == {request.split(b"\r\n")[0] for request in requests}
    assert not any(b"transfer-encoding" in request.lower() for request in requests)
