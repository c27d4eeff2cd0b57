"""The `pogo` command with TLS: what it starts, what it refuses, and what it says."""

import asyncio
import json
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import Run
from tests.cli.process import Pogo, run_pogo
from tests.servers import Certificate, NatsServer
from tests.tls.authority import Authority
from tests.tls.helpers import answer_to, shown

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> Authority:
    """Make an authority."""
    return Authority(tmp_path / "authority")


@pytest.fixture(name="issued")
def _issued(authority: Authority) -> Certificate:
    """Issue a certificate for this machine."""
    return authority.issue()


def _files(issued: Certificate) -> dict[str, str]:
    return {"POGO_TLS_CERT": str(issued.certificate), "POGO_TLS_KEY": str(issued.key)}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


async def _metrics(ready: dict[str, Any]) -> dict[tuple[str, ...], float]:
    async with aiohttp.ClientSession() as session, session.get(ready["metrics"]) as answer:
        families = text_string_to_metric_families(await answer.text())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


async def test_serve_with_tls(tmp_path: Path, issued: Certificate, authority: Authority) -> None:
    """One command serves wss and gRPC over TLS, and the others find it, given its authority."""
    ca = ("--ca", str(authority.path))
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=_files(issued)) as serve:
        ready = await serve.logged("ready")
        async with Pogo(tmp_path, "listen", "news", "--json", *ca) as listen:
            await listen.told("listening to news")
            published = await run_pogo(tmp_path, "publish", "news", "e", '{"a":1}', *ca)
            await listen.printed(1)
        environment = {"SSL_CERT_FILE": str(authority.path)}
        by_environment = await run_pogo(tmp_path, "publish", "news", "e", "1", env=environment)

        assert (0, "ok", "") == published
        assert (0, "ok", "") == by_environment
        assert ready["url"].startswith("https://")
        assert {"a": 1} == json.loads(listen.out[0])["data"]

        assert b"HTTP" not in await answer_to(_port(ready["url"]), b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in await answer_to(_port(ready["grpc"]), b"GET / HTTP/1.1\r\n\r\n")

        metrics = await _metrics(ready)
        code = await serve.stop()

    assert 1 == metrics["pogo_websocket_tls_handshakes_total", "plain_http"]
    assert 1 <= metrics["pogo_websocket_tls_handshakes_total", "completed"]
    assert 0 == code
    # Nothing that clients got wrong, neither as JSON nor in gRPC's own words.
    assert all(line.startswith("{") for line in serve.err), serve.err
    assert not [line for line in serve.err if '"info"' not in line]


async def test_nobody_believes_it_unasked(tmp_path: Path, issued: Certificate) -> None:
    """Without its authority `listen` and `publish` end with what is wrong."""
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=_files(issued)) as serve:
        ready = await serve.logged("ready")
        listened = await run_pogo(tmp_path, "listen", "news")
        published = await run_pogo(tmp_path, "publish", "news", "e", "1")

    assert 1 == listened[0]
    assert f"the certificate of {ready['url']} is not to be believed" in listened[2]
    assert "Name its authority with --ca" in listened[2]
    assert 1 == published[0]
    assert "UNAVAILABLE" in published[2]


async def test_one_certificate_for_grpc_alone(
    tmp_path: Path, issued: Certificate, authority: Authority
) -> None:
    """The other port then does without TLS, as behind a gateway that ends it."""
    env = {"POGO_GRPC_TLS_CERT": str(issued.certificate), "POGO_GRPC_TLS_KEY": str(issued.key)}
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=env) as serve:
        ready = await serve.logged("ready")
        async with Pogo(tmp_path, "listen", "news") as listen:
            await listen.told("listening to news")
            ca = ("--ca", str(authority.path))
            published = await run_pogo(tmp_path, "publish", "news", "e", "1", *ca)
            await listen.printed(1)

    assert ready["url"].startswith("http://")
    assert (0, "ok", "") == published


async def test_certificates_for_both_ports(
    tmp_path: Path, issued: Certificate, authority: Authority
) -> None:
    """GRPC may show another certificate than the port for browsers."""
    other = authority.issue("grpc")
    env = {
        **_files(issued),
        "POGO_GRPC_TLS_CERT": str(other.certificate),
        "POGO_GRPC_TLS_KEY": str(other.key),
    }
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=env) as serve:
        ready = await serve.logged("ready")
        serials = [await shown(_port(ready[name]), authority) for name in ("url", "grpc")]

    assert len(set(serials)) == 2


@pytest.mark.parametrize("how", ["SIGHUP", "interval"])
async def test_certificates_that_are_replaced(
    tmp_path: Path, issued: Certificate, authority: Authority, how: str
) -> None:
    """On SIGHUP and by itself, for both ports; a broken one is said once, and changes nothing."""
    interval = "1h" if how == "SIGHUP" else "50ms"
    env = {**_files(issued), "POGO_TLS_RELOAD_INTERVAL": interval}
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=env) as serve:
        ready = await serve.logged("ready")
        ports = [_port(ready[name]) for name in ("url", "grpc")]

        async def serials() -> list[int]:
            return [await shown(port, authority) for port in ports]

        async def reload() -> None:
            if how == "SIGHUP":
                serve.process.send_signal(signal.SIGHUP)

        before = await serials()
        good = issued.key.read_bytes()
        issued.key.write_bytes(b"broken")
        await reload()
        failed = await serve.logged("certificate not replaced, the old one stays")

        assert f"{issued.key}: holds no private key in PEM" == failed["reason"]
        assert before == await serials()

        issued.key.write_bytes(good)
        authority.issue()
        await reload()
        replaced = await serve.logged("certificate replaced")
        async with asyncio.timeout(10):
            while set(before) & set(await serials()):  # noqa: ASYNC110 (the ports follow in turn)
                await asyncio.sleep(0.02)
        metrics = await _metrics(ready)
        await serve.stop()

    expires = datetime.fromisoformat(replaced["expires"]).timestamp()
    assert expires == metrics["pogo_websocket_tls_certificate_expiry_timestamp_seconds", "http"]
    assert "broken" not in "".join(serve.err)
    mentions = [line for line in serve.err if "certificate not replaced" in line]
    assert 2 >= len(mentions)


def _problems(issued: Certificate, other: Certificate) -> Iterator[tuple[dict[str, str], str]]:
    cert, key = str(issued.certificate), str(issued.key)
    yield {"POGO_TLS_CERT": cert}, "tls_key: is required with tls_cert"
    yield {"POGO_TLS_KEY": key}, "POGO_TLS_KEY: needs tls_cert beside it"
    yield {"POGO_TLS_CERT": cert, "POGO_TLS_KEY": str(other.key)}, f"{other.key}: is not the key"
    yield {"POGO_TLS_CERT": "/nowhere", "POGO_TLS_KEY": key}, "/nowhere: No such file"
    yield {"POGO_GRPC_TLS_CLIENT_CA": cert}, "needs tls_cert or grpc_tls_cert"
    both = {"POGO_TLS_CERT": cert, "POGO_TLS_KEY": key}
    yield {**both, "POGO_GRPC_TLS_CLIENT_CA": key}, f"TLS of gRPC: {key}: holds no certificate"


def test_what_cannot_work(pogo: Run, authority: Authority, issued: Certificate) -> None:
    """`config check` ends with 2 and says which file is wrong, and how."""
    other = authority.issue("other")
    for env, sentence in _problems(issued, other):
        code, _, err = pogo("config", "check", env=env)

        assert 2 == code
        assert sentence in err


@pytest.mark.parametrize("service", ["serve", "edge", "broker", "authsvc"])
async def test_services_that_cannot_start(
    tmp_path: Path, authority: Authority, issued: Certificate, service: str
) -> None:
    """No service starts without the certificate that it is to show; there is no traceback."""
    other = authority.issue("other")
    env = {
        "POGO_TLS_CERT": str(issued.certificate),
        "POGO_TLS_KEY": str(other.key),
        "POGO_APP_ID": "shop",
        "POGO_APP_SECRET": "secret-of-the-shop",
        "POGO_BUS": "memory" if service == "serve" else "nats",
        "POGO_AUTH_UPSTREAM": "http://127.0.0.1:9",
    }
    code, _, err = await run_pogo(tmp_path, service, env=env)

    assert 2 == code
    assert f"tls_cert, tls_key: {other.key}: is not the key of {issued.certificate}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"NATS_TLS_CA": "x"}, "needs tls:// in nats_url"),
        ({"REDIS_TLS_CERT": "x", "REDIS_TLS_KEY": "y"}, "needs redis_tls = true"),
        ({"AUTH_SERVICE_TLS_CA": "x"}, "needs auth_service_tls = true"),
        ({"NATS_USER": "me"}, "nats_user and nats_password need each other"),
        ({"NATS_TOKEN": "t0ken", "NATS_CREDS": "x"}, "only one of nats_creds, nats_token"),
        ({"REDIS_TLS": "1", "REDIS_TLS_CA": "/nowhere"}, "/nowhere: No such file"),
    ],
)
def test_settings_that_cannot_work(pogo: Run, names: dict[str, str], sentence: str) -> None:
    """What would silently do without TLS, or leaves open who logs in, is refused."""
    env = {f"POGO_{name}": value for name, value in names.items()}
    code, _, err = pogo("config", "check", env=env)

    assert 2 == code
    assert sentence in err
    assert "t0ken" not in err


async def test_a_key_that_everybody_can_read(tmp_path: Path, issued: Certificate) -> None:
    """It works, and is warned of."""
    issued.key.chmod(0o644)
    code, _, err = await run_pogo(tmp_path, "config", "check", env=_files(issued))
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=_files(issued)) as serve:
        await serve.logged("ready")

    assert 0 == code
    for said in (err, "\n".join(serve.err)):
        assert f"every user of this machine can read {issued.key}" in said


async def test_workers_with_tls(tmp_path: Path, issued: Certificate, authority: Authority) -> None:
    """Each worker of an edge speaks TLS on the port that they share, and shows what is new."""
    env = {
        **_files(issued),
        "POGO_TLS_RELOAD_INTERVAL": "50ms",
        "POGO_BUS": "nats",
        "POGO_APP_ID": "shop",
        "POGO_APP_SECRET": "secret-of-the-shop",
    }
    async with NatsServer(tmp_path / "nats") as nats:
        env["POGO_NATS_URL"] = nats.url
        ports = ("--port", "0", "--metrics-port", "0")
        async with Pogo(tmp_path, "edge", "--workers", "2", *ports, env=env) as edge:
            port = (await edge.logged("ready"))["port"]
            before = {await shown(port, authority) for _ in range(10)}
            authority.issue()
            async with asyncio.timeout(10):
                while before & {await shown(port, authority) for _ in range(10)}:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            code = await edge.stop()

    assert 1 == len(before)
    assert 0 == code
