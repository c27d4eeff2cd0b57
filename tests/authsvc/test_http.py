"""What browsers get, from a real php-fpm."""

import asyncio
import gzip
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pogo.authsvc import AuthServer, server
from tests.authsvc.helpers import (
    CHANNEL,
    KEY,
    SECRET,
    SOCKET_ID,
    Service,
    app,
    channel_auth,
    connection,
    eventually,
    settings,
    user_auth,
)
from tests.php_fpm import PhpFpm

ORIGIN = "https://shop.example"
LIMIT = 16_384


@pytest.fixture(name="service")
async def _service(fpm: PhpFpm, script: str) -> AsyncIterator[Service]:
    async with Service(auth_upstream=fpm.upstream, auth_script=script) as service:
        yield service


async def test_channel(service: Service) -> None:
    """A browser gets the signature, as JSON that nobody keeps."""
    reply = await service.ask()

    assert (200, {"auth": channel_auth()}) == (reply.status, reply.json)
    assert "application/json" == reply.headers["Content-Type"].partition(";")[0]
    assert ["no-store", "nosniff", "Pogo"] == [
        reply.headers[name] for name in ("Cache-Control", "X-Content-Type-Options", "Server")
    ]
    assert 1 == service.metric("auth_duration_seconds_count")


async def test_presence_encrypted_and_user(service: Service) -> None:
    """So it does for every kind of thing that is signed."""
    presence = await service.ask("presence-room")
    encrypted = await service.ask("private-encrypted-safe")
    user = await service.ask(None, path="/pogo/user-auth")

    member = '{"user_id":"ada"}'
    signed = channel_auth("presence-room", member)
    assert {"auth": signed, "channel_data": member} == presence.json
    assert {"auth", "shared_secret"} == set(encrypted.json)
    assert {"auth": user_auth('{"id":"ada"}'), "user_data": '{"id":"ada"}'} == user.json


async def test_json(service: Service) -> None:
    """A client may ask in JSON."""
    body = {"socket_id": SOCKET_ID, "channel_name": CHANNEL}
    reply = await service.send("POST", json=body)

    assert {"auth": channel_auth()} == reply.json


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_other_methods(service: Service, method: str) -> None:
    """Nothing but POST asks."""
    assert 405 == (await service.send(method)).status


@pytest.mark.parametrize(
    "fields",
    [
        {"channel_name": CHANNEL, "socket_id": "1"},
        {"channel_name": CHANNEL},
        {"socket_id": SOCKET_ID},
        {"socket_id": SOCKET_ID, "channel_name": "orders"},
        {"socket_id": SOCKET_ID, "channel_name": "#server-to-user-ada"},
        {"socket_id": SOCKET_ID, "channel_name": "private-a b"},
        {"socket_id": SOCKET_ID, "channel_name": "private-" + "x" * 200},
        {"socket_id": SOCKET_ID, "channel_name": CHANNEL, "socket[id": "1.2"},
        {"socket_id": SOCKET_ID, "channel_name": CHANNEL, "_method": "PUT"},
    ],
)
async def test_what_cannot_be_asked(service: Service, fields: dict[str, str]) -> None:
    """It does not reach the worker, and is no news for the log."""
    reply = await service.send("POST", data=fields)

    assert 400 == reply.status
    assert reply.json["error"]
    assert 0 == service.metric("auth_duration_seconds_count")
    assert 1 == service.metric("auth_failures_total", reason="bad_request")


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_long(service: Service, *, chunked: bool) -> None:
    """A body is read no further than it may be long, also if it does not say how long it is."""
    form = f"socket_id={SOCKET_ID}&channel_name={CHANNEL}&x=".encode()

    async def pieces(size: int) -> AsyncIterator[bytes]:
        yield form
        for start in range(len(form), size, 1000):
            yield b"x" * min(1000, size - start)

    async def send(size: int) -> int:
        body = pieces(size) if chunked else form + b"x" * (size - len(form))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return (await service.send("POST", data=body, headers=headers)).status

    assert [200, 413] == [await send(LIMIT), await send(LIMIT + 1)]


@pytest.mark.parametrize("status", [401, 403, 404, 419, 422, 429])
async def test_refusals(service: Service, status: int) -> None:
    """What the application says to its user is said to its user."""
    reply = await service.ask(behave=f"status:{status}")

    assert (status, {"error": "no"}, "7") == (
        reply.status,
        reply.json,
        reply.headers["Retry-After"],
    )
    assert ["seen=1; Path=/"] == reply.headers.getall("Set-Cookie")
    assert 1 == service.metric("auth_failures_total", reason="refused")


async def test_refusal_that_is_a_page(service: Service) -> None:
    """HTML is not passed on."""
    reply = await service.ask(behave="page")

    assert (403, ["error"]) == (reply.status, list(reply.json))


async def test_redirect(service: Service) -> None:
    """To be sent to the login page is to be refused."""
    reply = await service.ask(behave="redirect")

    assert 403 == reply.status
    assert "Location" not in reply.headers


@pytest.mark.parametrize(
    ("behave", "status", "reason"),
    [
        ("status:500", 502, "worker_failed"),
        ("status:503", 502, "worker_failed"),
        ("status:418", 502, "invalid_answer"),
        ("status:204", 502, "invalid_answer"),
        ("fault", 502, "worker_failed"),
        ("malformed", 502, "invalid_answer"),
        ("forge", 502, "invalid_answer"),
        (f"huge:{LIMIT}", 502, "invalid_answer"),
        (f"huge:{LIMIT * 10}", 502, "invalid_answer"),
    ],
)
async def test_worker_at_fault(service: Service, behave: str, status: int, reason: str) -> None:
    """Its client is told no more than that."""
    reply = await service.ask(behave=behave)

    assert (status, ["error"]) == (reply.status, list(reply.json))
    assert "app" not in reply.text.replace("application", "")
    assert 1 == service.metric("auth_failures_total", reason=reason)
    assert 200 == (await service.ask()).status


@pytest.mark.parametrize("name", ["nowhere/index.php", "index.txt", ""])
async def test_script_that_cannot_be_run(
    fpm: PhpFpm, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """What is missing, no PHP or a folder is said to be so, and is not taken for a refusal."""
    (tmp_path / "index.txt").touch()
    script = str(tmp_path / name)
    async with Service(auth_upstream=fpm.upstream, auth_script=script) as service:
        assert 502 == (await service.ask()).status
        assert 1 == service.metric("auth_failures_total", reason="worker_failed")

    assert "it cannot run auth_script: " in capfd.readouterr().out


async def test_cookies(service: Service) -> None:
    """A session goes on: what the application sets, the browser gets."""
    reply = await service.ask(behave="cookies")

    expected = ["session=next; Path=/; HttpOnly", "csrf=token; Path=/"]
    assert expected == reply.headers.getall("Set-Cookie")


async def _told(service: Service, **headers: str) -> dict[str, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await service.ask(behave="tell", headers=given)
    return dict(reply.json["server"])


async def test_what_the_script_sees(service: Service, script: str) -> None:
    """The request is a form's POST to the path that was asked for."""
    seen = await _told(service, Cookie="a=b", Accept="text/html", Host="shop.example:8443")

    expected = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_COOKIE": "a=b",
        "HTTP_HOST": "shop.example:8443",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/pogo/auth",
        "SCRIPT_FILENAME": script,
        "SCRIPT_NAME": "/behaving.php",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "8443",
    }
    assert expected == {name: seen.get(name) for name in expected}
    assert "HTTPS" not in seen


async def test_what_the_script_does_not_see(service: Service) -> None:
    """Neither what belongs to the connection, nor the word of a proxy that is none."""
    headers = {
        "Proxy": "http://evil.example",
        "Connection": "X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Upgrade": "x",
        "X_Forwarded_For": "1.2.3.4",
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "https",
    }
    seen = (await service.ask(behave="tell", headers=headers)).json["server"]

    expected = {"HTTP_ACCEPT", "HTTP_HOST", "HTTP_USER_AGENT"}
    assert expected == {name for name in seen if name.startswith("HTTP_")}
    assert "HTTPS" not in seen


async def test_trusted_proxy(fpm: PhpFpm, script: str) -> None:
    """What a proxy says counts where it is trusted."""
    async with Service(
        auth_upstream=fpm.upstream, auth_script=script, trusted_proxies=["127.0.0.0/8"]
    ) as service:
        seen = await _told(
            service, Host="shop.example", X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https"
        )

        assert ("on", "443", "1.2.3.4") == tuple(
            seen[name] for name in ("HTTPS", "SERVER_PORT", "HTTP_X_FORWARDED_FOR")
        )


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [("[::1]:81", "[::1]", "81"), ("[::1]", "[::1]", "80"), ("shop.example", "shop.example", "80")],
)
async def test_host(service: Service, host: str, name: str, port: str) -> None:
    """An address of IPv6 has colons of its own."""
    seen = await _told(service, Host=host)

    assert (name, port, host) == (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["HTTP_HOST"])


async def _raw(service: Service, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are; returns the first line of the answer."""
    async with connection(service.server.port) as (reader, writer):
        writer.write(head.replace("\n", "\r\n").encode("latin-1") + body)
        return await reader.readline()


FORM = f"socket_id={SOCKET_ID}&channel_name={CHANNEL}".encode()
HEAD = (
    "POST /pogo/auth HTTP/1.1\nHost: {host}\nContent-Type: application/x-www-form-urlencoded\n"
    f"Content-Length: {len(FORM)}\n"
)


@pytest.mark.parametrize("host", ["evil.example/x", "a b", "a@b", "shop.example:99999999"])
async def test_no_host(service: Service, host: str) -> None:
    """A host that is none is refused, as web servers do."""
    assert b" 400 " in await _raw(service, HEAD.format(host=host) + "\n", FORM)


async def test_bytes_that_are_no_text(service: Service) -> None:
    """A cookie of another application on the domain may be anything."""
    head = HEAD.format(host="a") + "Cookie: a=\xff\xfe\n\n"

    assert b" 200 " in await _raw(service, head, FORM)


async def test_too_many_cookies(service: Service) -> None:
    """More than php-fpm can read is refused here, and is no failure of the worker."""
    head = HEAD.format(host="a") + f"Cookie: {'a' * 8000}\n" * 10 + "\n"
    for _ in range(6):
        assert b" 431 " in await _raw(service, head, FORM)

    assert 200 == (await service.ask()).status
    assert 0 == service.metric("circuit_breaker_open_total")


async def test_origins(fpm: PhpFpm, script: str) -> None:
    """A page of an origin that is named may read the answer, and a foreign one is refused."""
    async with Service(
        auth_upstream=fpm.upstream, auth_script=script, allowed_origins=[ORIGIN]
    ) as service:
        named = await service.ask(headers={"Origin": ORIGIN})
        refused = await service.ask(behave="status:403", headers={"Origin": ORIGIN})
        foreign = await service.ask(headers={"Origin": "https://evil.example"})
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        preflight = await service.send("OPTIONS", headers=asked)
        asked["Origin"] = "null"
        foreign_preflight = await service.send("OPTIONS", headers=asked)

        for reply in (named, refused, preflight):
            assert ORIGIN == reply.headers["Access-Control-Allow-Origin"]
            assert "true" == reply.headers["Access-Control-Allow-Credentials"]
        assert [200, 403, 204] == [named.status, refused.status, preflight.status]
        for reply in (foreign, foreign_preflight):
            assert 403 == reply.status
            assert "Access-Control-Allow-Origin" not in reply.headers
        assert 2 == service.metric("auth_failures_total", reason="forbidden_origin")


async def test_any_origin(service: Service) -> None:
    """Any page may ask, without cookies."""
    reply = await service.ask(headers={"Origin": "https://blog.example"})

    assert "*" == reply.headers["Access-Control-Allow-Origin"]
    assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_slow_body(fpm: PhpFpm, script: str) -> None:
    """Who takes too long to ask is not waited for."""
    async with (
        Service(auth_upstream=fpm.upstream, auth_script=script, auth_timeout=0.3) as service,
        connection(service.server.port) as (reader, writer),
    ):
        began = time.monotonic()
        writer.write(HEAD.format(host="a").replace("\n", "\r\n").encode() + b"\r\n" + FORM[:5])

        assert b" 408 " in await reader.readline()
        assert 0.25 < time.monotonic() - began < 2
        assert 0 == service.metric("auth_duration_seconds_count")


async def test_body_that_cannot_be_read(service: Service) -> None:
    """It says that it comes in chunks, and they are none."""
    head = "POST /pogo/auth HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n"
    head += "Content-Type: application/x-www-form-urlencoded\n\n"

    assert b" 400 " in await _raw(service, head, b"5\r\nsocke\r\nno length\r\n")
    assert 0 == service.metric("auth_duration_seconds_count")


async def test_ports_that_are_taken(fpm: PhpFpm, script: str, service: Service) -> None:
    """It says so, and may be stopped as if it had started."""
    asked = {"auth_upstream": fpm.upstream, "auth_script": script}
    taken = {"port": service.server.port, "grpc_port": service.server.grpc_port}
    other = AuthServer(settings(**asked, **taken), metrics=CollectorRegistry())
    with pytest.raises(OSError, match="in use"):
        await other.start_http()
    with pytest.raises(OSError, match="in use"):
        await other.start_grpc()
    await other.stop_grpc()
    await other.stop_http()


async def test_compressed_body(service: Service) -> None:
    """Who sends little cannot have much unpacked."""
    body = gzip.compress(b"x" * 10_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert 415 == (await service.send("POST", data=body, headers=headers)).status


@pytest.mark.parametrize("said", [b"", b"POST /pogo/auth HTTP/1.1\r\nHost: a\r\nX: "])
async def test_slow_head(
    fpm: PhpFpm, script: str, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Who connects and asks nothing is not kept for long."""
    monkeypatch.setattr(server, "_KEEP_ALIVE", 0.2)
    async with (
        Service(auth_upstream=fpm.upstream, auth_script=script) as service,
        connection(service.server.port) as (reader, writer),
    ):
        writer.write(said)
        began = time.monotonic()
        await reader.read()

        assert time.monotonic() - began < 2


async def test_client_goes_away(
    service: Service, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """In its request, or while it waits: nothing is left of it, and nobody told of a fault."""
    caplog.set_level(logging.DEBUG)
    head = HEAD.format(host="a").replace("\n", "\r\n").encode() + b"\r\n"
    async with connection(service.server.port) as (_, writer):
        writer.write(head + FORM[:5])
    slow = FORM + b"&behave=sleep:200"
    async with connection(service.server.port) as (_, writer):
        head = head.replace(b"%d" % len(FORM), b"%d" % len(slow))
        writer.write(head + slow)
        await eventually(lambda: service.metric("auth_requests_active") == 1)
    await eventually(lambda: service.metric("auth_requests_active") == 0)

    assert 200 == (await service.ask()).status
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not {"warning", "error"} & set(capfd.readouterr().out.split())


async def test_replace_apps(service: Service) -> None:
    """An app that is disabled has nothing signed from the next request on."""
    service.server.replace_apps([app(enabled=False)])
    assert 502 == (await service.ask()).status

    service.server.replace_apps([app(secret="next", previous_secret=SECRET)])
    assert 200 == (await service.ask()).status


async def test_up(service: Service) -> None:
    """It says how its worker is, and is healthy in any case."""
    for path in ("/up", "/pogo/health"):
        reply = await service.send("GET", path)
        assert (200, {"status": "ok", "circuit": "closed"}) == (reply.status, reply.json)


async def test_nothing_secret_is_logged(
    service: Service, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong, at any level."""
    caplog.set_level(logging.DEBUG)
    headers = {"Cookie": "session=hidden-cookie", "Authorization": "Bearer hidden-token"}
    for behave in ("", "forge", "malformed", "fault", "status:403", "status:500", "huge:20000"):
        await service.ask(behave=behave, password="hidden-field", headers=headers)
    await service.ask("private-encrypted-safe", headers=headers)

    written = caplog.text + "".join(capfd.readouterr())
    assert "invalid_answer" in written
    for secret in ("hidden", SECRET, channel_auth().partition(":")[2], "a2tra2tr"):
        assert secret not in written


async def test_metric_names(service: Service) -> None:
    """They are what dashboards and alerts are made of."""
    names = {
        sample.name
        for metric in service.metrics.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }

    prefix = "pogo_websocket_"
    assert {
        f"{prefix}auth_duration_seconds_bucket",
        f"{prefix}auth_duration_seconds_count",
        f"{prefix}auth_duration_seconds_sum",
        f"{prefix}auth_failures_total",
        f"{prefix}circuit_breaker_open_total",
        f"{prefix}auth_requests_active",
        f"{prefix}auth_circuit_closed",
    } == names


async def test_stop_finishes_what_is_in_hand(fpm: PhpFpm, script: str) -> None:
    """A client that was let in is answered."""
    async with Service(auth_upstream=fpm.upstream, auth_script=script) as service:
        asking = asyncio.create_task(service.ask(behave="sleep:300"))
        await eventually(lambda: service.metric("auth_requests_active") == 1)
        began = time.monotonic()
        await service.server.stop_grpc()
        await service.server.stop_http()

        assert {"auth": channel_auth()} == (await asking).json
        assert time.monotonic() - began < 2


async def test_other_fields(service: Service) -> None:
    """Extra parameters of a page reach the application as they were."""
    reply = await service.ask(behave="tell", página="é&=+ \u2028")

    assert "é&=+ \u2028" == reply.json["post"]["página"]
    assert KEY not in json.dumps(reply.json["post"])
