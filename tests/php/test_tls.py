"""gRPC over TLS: to a broker that speaks it, and to a real nginx that ends it in front of one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pogo.bus.nats import NatsBus
from pogo.tls import ServerTls
from tests.broker.helpers import APP, RunningBroker, listen, running_broker, until
from tests.nginx import Nginx
from tests.php.conftest import StartPhp
from tests.php.process import environment, publish_around_a_fork
from tests.php.relay import Relay
from tests.servers import Certificate, free_port, make_certificate
from tests.tls.authority import Authority

EVENT = ("news", "headline", "{}")
_SERVER = """\
server {{
  listen {address} ssl http2;
  ssl_certificate {certificate.certificate};
  ssl_certificate_key {certificate.key};
  location / {{ grpc_pass grpc://127.0.0.1:{broker}; }}
}}
"""

Proxy = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture(name="certificate")
def _certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture(name="proxy")
def _proxy(certificate: Certificate, tmp_path: Path) -> Proxy:
    """Return what runs nginx before a broker's port, and yields its own."""

    @contextlib.asynccontextmanager
    async def start(broker: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
        port = free_port()
        server = _SERVER.format(address=f"{host}:{port}", certificate=certificate, broker=broker)
        async with Nginx(tmp_path / "nginx", "", before=server):
            yield port

    return start


async def test_tls(
    broker: RunningBroker, proxy: Proxy, certificate: Certificate, start_php: StartPhp
) -> None:
    """With the right authority there is one connection for all calls, as without TLS."""
    authority = str(certificate.certificate)
    async with (
        proxy(broker.server.grpc_port) as port,
        Relay(port) as relay,
        start_php(relay.address, CA_FILE=authority) as php,
    ):
        for _ in range(50):
            assert (0, "") == await php.outcome("publish", *EVENT)
        assert 2 == (await php.outcome("publish", "no spaces", "headline", "{}"))[0]
        assert 1 == relay.connections
        assert b"headline" not in relay.heard

        await relay.drop()

        assert (0, "") == await php.outcome("publish", *EVENT)


async def test_a_broker_that_speaks_tls(bus: NatsBus, tmp_path: Path, start_php: StartPhp) -> None:
    """It wants a certificate of its publishers, and believes no other authority's."""
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    issued, known, unknown = ours.issue(), ours.issue("php"), others.issue("php")
    files = (str(issued.certificate), str(issued.key))
    tls = ServerTls(*files, client_ca=str(ours.path))
    async with running_broker(bus, tls=tls) as running:
        port = running.server.grpc_port
        outcomes = []
        for shown in (known, unknown):
            certificate = {
                "CLIENT_CERT": str(shown.certificate),
                "CLIENT_KEY": str(shown.key),
            }
            async with start_php(port, CA_FILE=str(ours.path), **certificate) as php:
                outcomes.append(await php.call("publish", *EVENT))

    assert [[0, ""]] == outcomes[0]["outcomes"]
    assert "UNAVAILABLE" == outcomes[1]["error"]


async def test_an_answer_that_is_lost(
    broker: RunningBroker,
    proxy: Proxy,
    certificate: Certificate,
    start_php: StartPhp,
    bus: NatsBus,
) -> None:
    """Over TLS too, a call whose answer is lost is made again, and its event arrives once."""
    heard, last = listen(bus, "news"), listen(bus, "last")
    await bus.flush()
    authority = str(certificate.certificate)
    async with (
        proxy(broker.server.grpc_port) as port,
        Relay(port) as relay,
        start_php(relay.address, CA_FILE=authority) as php,
    ):
        await php.outcome("publish", "before", "headline", "{}")
        relay.lose_answers()
        call = asyncio.create_task(php.outcome("publish", *EVENT))
        await until(lambda: len(heard) > 0)
        await relay.drop()

        assert (0, "") == await call

        await php.outcome("publish", "last", "headline", "{}")
        await until(lambda: len(last) == 1)

        assert 1 == len(heard)


async def test_a_fork(broker: RunningBroker, proxy: Proxy, certificate: Certificate) -> None:
    """Over TLS a child costs its parent a new session at the most, and never an event."""
    authority = str(certificate.certificate)
    async with proxy(broker.server.grpc_port) as port:
        settings = environment(APP, BROKER=f"127.0.0.1:{port}", CA_FILE=authority)

        assert [0] * 5 == await publish_around_a_fork(settings)


async def test_an_authority_that_nobody_trusts(
    broker: RunningBroker, proxy: Proxy, start_php: StartPhp, tmp_path: Path
) -> None:
    """A server is not believed unless a trusted authority vouches for it."""
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other")
    async with proxy(broker.server.grpc_port) as port:
        for setting in ({"TLS": "true"}, {"CA_FILE": str(other.certificate)}):
            async with start_php(port, **setting) as php:
                answer = await php.call("publish", *EVENT)

                assert "UNAVAILABLE" == answer["error"]
                assert "certificate" in answer["message"]


async def test_a_certificate_for_another_host(
    broker: RunningBroker, proxy: Proxy, certificate: Certificate, start_php: StartPhp
) -> None:
    """Nor is one whose certificate is for another name."""
    host = "127.0.0.2"
    authority = str(certificate.certificate)
    async with (
        proxy(broker.server.grpc_port, host) as port,
        start_php(f"{host}:{port}", CA_FILE=authority) as php,
    ):
        answer = await php.call("publish", *EVENT)

        assert "UNAVAILABLE" == answer["error"]
        assert "127.0.0.2" in answer["message"]


async def test_without_tls_to_a_server_that_speaks_it(
    broker: RunningBroker, proxy: Proxy, start_php: StartPhp
) -> None:
    """Whoever forgot to switch TLS on is told that the call failed."""
    async with proxy(broker.server.grpc_port) as port, start_php(port) as php:
        assert "error" in await php.call("publish", *EVENT)


async def test_a_proxy_without_its_broker(
    proxy: Proxy, certificate: Certificate, start_php: StartPhp
) -> None:
    """What a proxy answers in HTTP, when the broker is gone, means the same as no broker."""
    authority = str(certificate.certificate)
    async with proxy(free_port()) as port, start_php(port, CA_FILE=authority) as php:
        answer = await php.call("publish", *EVENT)

        assert "UNAVAILABLE" == answer["error"]
        assert "HTTP status 502" in answer["message"]
