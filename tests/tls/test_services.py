"""gRPC and HTTP of brokers and auth services over TLS, as back ends, SDKs and edges reach them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from pogo.authsvc import AuthServer
from pogo.client import AsyncClient, Client, PublishError, StatusCode
from pogo.tls import ServerTls
from tests.authsvc.helpers import CHANNEL, Service, app, channel_auth, settings
from tests.authsvc.helpers import SECRET as AUTH_SECRET
from tests.broker.helpers import APP, memory_bus, running_broker
from tests.broker.http.helpers import EVENTS, sign
from tests.broker.http.helpers import running_api as running
from tests.edge.helpers import Client as EdgeClient
from tests.edge.helpers import running_edge
from tests.php_fpm import PhpFpm
from tests.servers import HOST, Certificate
from tests.tls.authority import Authority
from tests.tls.helpers import Listener, answer_to, believing, shown

SECRET = APP.secret.get_secret_value()
_ORIGIN = "https://shop.example"


def _tls(issued: Certificate, client_ca: Authority | None = None) -> ServerTls:
    ca = "" if client_ca is None else str(client_ca.path)
    return ServerTls(str(issued.certificate), str(issued.key), client_ca=ca)


@contextlib.asynccontextmanager
async def _broker(tls: ServerTls) -> AsyncIterator[str]:
    """Run a broker, and yield its address."""
    async with memory_bus() as bus, running_broker(bus, tls=tls) as broker:
        yield f"localhost:{broker.server.grpc_port}"


def _client(target: str, **options: bytes) -> AsyncClient:
    return AsyncClient(target, app_id=APP.id, key=APP.key, secret=SECRET, **options)  # type: ignore[arg-type]


async def _refusal(target: str, **options: bytes) -> str:
    async with _client(target, **options) as client:
        with pytest.raises(PublishError) as caught:
            await client.publish("news", "headline", {})
        assert StatusCode.BROKER_PUBLISH_FAILED is caught.value.code
        return caught.value.detail


async def test_publishing_over_tls(
    issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """Whoever believes the authority publishes; nobody else does, nor without TLS."""
    async with _broker(_tls(issued)) as target:
        async with _client(target, root_certificates=authority.pem) as client:
            await client.publish("news", "headline", {})

        assert "UNAVAILABLE" in await _refusal(target, root_certificates=stranger.pem)
        assert "UNAVAILABLE" in await _refusal(target)


async def test_certificates_of_publishers(
    issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """With authorities for clients, a token alone is not enough, nor is anybody's certificate."""
    known, unknown = authority.issue("publisher"), stranger.issue("publisher")
    roots = authority.pem
    async with _broker(_tls(issued, authority)) as target:
        async with _client(
            target,
            root_certificates=roots,
            certificate_chain=known.certificate.read_bytes(),
            private_key=known.key.read_bytes(),
        ) as client:
            await client.publish("news", "headline", {})

        assert "UNAVAILABLE" in await _refusal(target, root_certificates=roots)
        assert "UNAVAILABLE" in await _refusal(
            target,
            root_certificates=roots,
            certificate_chain=unknown.certificate.read_bytes(),
            private_key=unknown.key.read_bytes(),
        )


async def test_a_publisher_that_takes_all_from_its_environment(
    issued: Certificate, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables name files, as in PHP."""
    known = authority.issue("publisher")
    async with _broker(_tls(issued, authority)) as target:
        monkeypatch.setenv("POGO_CA_FILE", str(authority.path))
        monkeypatch.setenv("POGO_CLIENT_CERT", str(known.certificate))
        monkeypatch.setenv("POGO_CLIENT_KEY", str(known.key))
        async with _client(target) as client:
            await client.publish("news", "headline", {})

        monkeypatch.delenv("POGO_CA_FILE")
        monkeypatch.setenv("POGO_TLS", "true")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        async with _client(target) as client:
            await client.publish("news", "headline", {})


async def test_a_broker_whose_certificate_is_replaced(
    issued: Certificate, authority: Authority
) -> None:
    """New connections are shown the new one; those that are open go on."""
    tls = _tls(issued)
    async with _broker(tls) as target:
        port = int(target.rpartition(":")[2])
        async with _client(target, root_certificates=authority.pem) as client:
            await client.publish("news", "headline", {})
            before = await shown(port, authority)
            authority.issue()

            assert before == await shown(port, authority)
            assert tls.reload()

            after = await shown(port, authority)

            assert before != after
            assert after == await shown(port, authority)

            await client.publish("news", "headline", {})


async def test_the_http_api_over_tls(issued: Certificate, authority: Authority) -> None:
    """The Pusher HTTP API is answered, and a request without TLS is not."""
    listener = Listener(issued)
    body = b'{"name":"headline","channels":["news"],"data":"{}"}'
    async with (
        memory_bus() as bus,
        running(bus, tls=listener.tls, handshake_timeout=0.3) as api,
        aiohttp.ClientSession() as session,
    ):
        port = api.server.port
        url = f"https://{HOST}:{port}{EVENTS}?{sign('POST', EVENTS, body)}"
        async with session.post(url, data=body, ssl=believing(authority)) as answer:
            assert 200 == answer.status
        answer_to_plain = await answer_to(port, b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
        await listener.until("plain_http")

        assert b"HTTP" not in answer_to_plain

        # A client that says nothing is cut off.
        assert b"" == await answer_to(port, b"")

        await listener.until("abandoned")


class _TlsService(Service):
    """An auth service with TLS on both ports."""

    def __init__(self, tls: ServerTls, **overrides: object) -> None:
        super().__init__(**overrides)
        self.server = AuthServer(
            settings(**overrides), metrics=CollectorRegistry(), tls=tls, grpc_tls=tls
        )

    @property
    def url(self) -> str:
        """Where browsers ask."""
        return super().url.replace("http:", "https:")


@pytest.fixture(name="fpm")
async def _fpm(tmp_path: Path) -> AsyncIterator[PhpFpm]:
    fpm = PhpFpm(tmp_path / "fpm", children=1)
    await fpm.start()
    try:
        yield fpm
    finally:
        await fpm.stop()


async def test_an_auth_service_over_tls(
    issued: Certificate, authority: Authority, fpm: PhpFpm, tmp_path: Path
) -> None:
    """Browsers and edges are answered, and PHP is told that the browser spoke TLS."""
    script = tmp_path / "https.php"
    signature = channel_auth()
    script.write_text(
        f"<?php if (($_SERVER['HTTPS'] ?? '') !== 'on') {{ http_response_code(500); exit; }}\n"
        f"echo json_encode(['auth' => '{signature}']);"
    )
    options = {"auth_upstream": fpm.upstream, "auth_script": str(script)}
    async with _TlsService(_tls(issued), **options) as service:
        reply = await service.send(
            "POST",
            data={"socket_id": "123.456", "channel_name": CHANNEL},
            ssl=believing(authority),
        )
        credentials = grpc.ssl_channel_credentials(authority.pem)
        async with grpc.aio.secure_channel(service.grpc, credentials) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            status = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)

    assert (200, {"auth": signature}) == (reply.status, reply.json)
    assert health_pb2.HealthCheckResponse.SERVING == status.status


async def test_an_edge_that_asks_over_tls(
    issued: Certificate, authority: Authority, fpm: PhpFpm, tmp_path: Path
) -> None:
    """An edge believes its auth service by an authority, and shows it a certificate."""
    script = tmp_path / "sign.php"
    script.write_text(
        "<?php $text = $_POST['socket_id'] . ':' . $_POST['channel_name'];\n"
        f"echo json_encode(['auth' => 'app-key:' . hash_hmac('sha256', $text, '{AUTH_SECRET}')]);"
    )
    known = authority.issue("edge")
    files = {
        "auth_service_tls": True,
        "auth_service_tls_ca": str(authority.path),
        "auth_service_tls_cert": str(known.certificate),
        "auth_service_tls_key": str(known.key),
    }
    without = {**files, "auth_service_tls_cert": "", "auth_service_tls_key": ""}
    async with _TlsService(
        _tls(issued, authority), auth_upstream=fpm.upstream, auth_script=str(script)
    ) as service:
        common = {
            "apps": [app()],
            "allowed_origins": [_ORIGIN],
            "subscribe_without_auth": True,
            "auth_service": service.grpc.replace(HOST, "localhost"),
        }
        events = []
        for options in (files, without):
            async with (
                running_edge(**common, **options) as edge,  # type: ignore[arg-type]
                EdgeClient(edge.url(), origin=_ORIGIN) as client,
            ):
                await client.send("pusher:subscribe", {"channel": CHANNEL})
                events.append((await client.receive())["event"])

    assert ["pusher_internal:subscription_succeeded", "pusher:error"] == events


def test_a_client_without_its_key(authority: Authority) -> None:
    """A certificate and its key need each other; a file that is not there is named."""
    with pytest.raises(ValueError, match="need each other"):
        Client(app_id="a", secret=SECRET, root_certificates=authority.pem, private_key=b"key")
