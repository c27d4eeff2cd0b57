"""pusher-js with `forceTLS`, against servers that speak TLS themselves."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from pogo.client import Client
from tests.e2e.application import Application
from tests.e2e.clients import PusherClient
from tests.e2e.cluster import Service
from tests.e2e.driver import Driver, running_driver
from tests.servers import NatsServer
from tests.tls.authority import Authority

_names = (f"tls-client-{number}" for number in itertools.count())


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(name="believing", scope="module")
def _believing(authority: Authority) -> Iterator[Driver]:
    """Run clients in a Node that believes the authority."""
    with running_driver({"NODE_EXTRA_CA_CERTS": str(authority.path)}) as driver:
        yield driver


@pytest.fixture(name="settings", scope="module")
def _settings(authority: Authority, application: Application) -> dict[str, str]:
    issued = authority.issue()
    return {
        "POGO_TLS_CERT": str(issued.certificate),
        "POGO_TLS_KEY": str(issued.key),
        "POGO_APP_ID": application.app_id,
        "POGO_APP_KEY": application.key,
        "POGO_APP_SECRET": application.secret,
    }


def _connect(
    driver: Driver, application: Application, port: int, **options: object
) -> PusherClient:
    client = PusherClient(driver, "node", next(_names), "ada")
    client.order(
        "connect",
        key=application.key,
        options={
            "wsHost": "localhost",
            "wssPort": port,
            "forceTLS": True,
            "enabledTransports": ["ws", "wss"],
            "cluster": "",
            "channelAuthorization": {
                "transport": "ajax",
                "endpoint": f"{application.url}/auth",
                "params": {"user": "ada"},
            },
            **options,
        },
    )
    return client


def _publisher(application: Application, authority: Authority, target: str) -> Client:
    return Client(
        target.replace("127.0.0.1", "localhost"),
        app_id=application.app_id,
        key=application.key,
        secret=application.secret,
        root_certificates=authority.pem,
    )


def _see_everything(
    driver: Driver, application: Application, authority: Authority, edge: Service, broker: Service
) -> None:
    """Connect, join, publish, and send client events."""
    one, two = (_connect(driver, application, edge.port) for _ in range(2))
    with _publisher(application, authority, broker.grpc) as publisher:
        for client in (one, two):
            client.take("state:connected")
            client.join("private-room", client_events=["client-hello"])
        publisher.publish("private-room", "headline", {"large": "x" * 100_000})
        one.trigger("private-room", "client-hello", {"from": "one"})

        assert {"large": "x" * 100_000} == one.take("headline", "private-room").data
        assert {"large": "x" * 100_000} == two.take("headline", "private-room").data
        assert {"from": "one"} == two.take("client-hello", "private-room").data
    for client in (one, two):
        client.order("disconnect")


def test_one_process(
    believing: Driver,
    application: Application,
    authority: Authority,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    """One process with one certificate."""
    serve = Service("serve", settings, tmp_path / "serve.log")
    try:
        _see_everything(believing, application, authority, serve, serve)
    finally:
        serve.stop()

    assert [] == serve.errors()


def test_services_apart(
    believing: Driver,
    application: Application,
    authority: Authority,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    """An edge and a broker with TLS on all ports, and between them and NATS."""
    issued = authority.issue("nats")
    args = ["--tls", "--tlscert", str(issued.certificate), "--tlskey", str(issued.key)]
    nats = NatsServer(tmp_path / "nats", args=args)
    asyncio.run(nats.start())
    services: list[Service] = []
    try:
        there = {
            **settings,
            "POGO_BUS": "nats",
            "POGO_NATS_URL": f"tls://127.0.0.1:{nats.port}",
            "POGO_NATS_TLS_CA": str(authority.path),
        }
        services.append(Service("edge", there, tmp_path / "edge.log"))
        services.append(Service("broker", there, tmp_path / "broker.log"))
        _see_everything(believing, application, authority, *services)
    finally:
        for service in services:
            service.stop()
        asyncio.run(nats.stop())

    assert [[], []] == [service.errors() for service in services]


def test_a_browser_that_does_not_believe_it(
    driver: Driver, application: Application, settings: dict[str, str], tmp_path: Path
) -> None:
    """A client that does not know the authority does not connect, and nothing of it is logged."""
    serve = Service("serve", settings, tmp_path / "serve.log")
    try:
        # Milliseconds after which pusher-js says so; it tries on.
        client = _connect(driver, application, serve.port, unavailableTimeout=1000)
        client.take("state:unavailable")
        client.order("disconnect")
    finally:
        serve.stop()

    assert [] == serve.errors()
