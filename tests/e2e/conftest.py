"""Pogo in its three set-ups, the clients to try it with, and the application between them."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.e2e.application import Application, running_application
from tests.e2e.clients import EchoClient, PusherClient
from tests.e2e.cluster import Cluster, Service, running_cluster
from tests.e2e.driver import Driver, running_driver


class Endpoint(Protocol):
    """What clients connect to on this machine: an edge, or a balancer before edges."""

    @property
    def port(self) -> int:
        """Where it listens."""


class Connect(Protocol):
    """Connects a pusher-js client, and waits until it is connected."""

    def __call__(
        self,
        endpoint: Endpoint,
        *,
        user: str = "",
        channel_user: str | None = None,
        key: str = "",
        wait: bool = True,
        **options: Any,
    ) -> PusherClient:
        """Connect with these further options of pusher-js.

        `user` is who is logged in at the application, `channel_user` who it says so of when it
        signs channels, where that differs; `key` is the app's when not given.
        """


class ConnectEcho(Protocol):
    """Connects a Laravel Echo client, and waits until it is."""

    def __call__(
        self, endpoint: Endpoint, *, user: str = "ada", broadcaster: str = "reverb"
    ) -> EchoClient:
        """Connect with that broadcaster."""


class Balancer:
    """A load balancer of the driver."""

    def __init__(self, driver: Driver, backends: list[int]) -> None:
        self._driver = driver
        self.port: int = driver.call("balancer", "open", backends=backends)

    @property
    def accepted(self) -> int:
        """How many connections were made so far."""
        return int(self._driver.call("balancer", "accepted", port=self.port))

    def close(self) -> None:
        """Take no more connections."""
        self._driver.call("balancer", "close", port=self.port)


class Balance(Protocol):
    """Opens a load balancer before endpoints, the first of which is preferred."""

    def __call__(self, *endpoints: Endpoint) -> Balancer:
        """Open it."""


@pytest.fixture(name="application", scope="session")
def _application() -> Iterator[Application]:
    with running_application("shop", "shop-key", secrets.token_hex(16)) as application:
        yield application


@pytest.fixture(name="driver", scope="session")
def _driver() -> Iterator[Driver]:
    with running_driver() as driver:
        yield driver


@pytest.fixture(name="cluster", scope="session", params=["serve", "nats", "redis"])
def _cluster(
    request: pytest.FixtureRequest,
    application: Application,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with running_cluster(request.param, application, folder) as cluster:
        yield cluster
    assert [] == cluster.errors()


@pytest.fixture(name="demo", scope="session")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run `pogo serve` as it is without any configuration, but for its ports."""
    folder = tmp_path_factory.mktemp("demo")
    # Its own directories, where it leaves its run file.
    settings = {"HOME": str(folder), "XDG_RUNTIME_DIR": ""}
    service = Service("serve", settings, folder / "serve.log")
    yield service
    service.stop()
    assert [] == service.errors()


@pytest.fixture(name="page", scope="session")
def _page(driver: Driver, application: Application) -> None:
    """Have Chromium show a page of the application, for clients to run in."""
    driver.launch_browser()
    driver.call("browser", "openClients", url=application.url)


@pytest.fixture(name="where", params=["node", "chromium"])
def _where(request: pytest.FixtureRequest) -> str:
    """Say where clients run."""
    if request.param == "chromium":
        request.getfixturevalue("page")
    return str(request.param)


_names = (f"client-{number}" for number in itertools.count())


@pytest.fixture(name="connect")
def _connect(driver: Driver, application: Application, where: str) -> Iterator[Connect]:
    connected: list[PusherClient] = []

    def connect(
        endpoint: Endpoint,
        *,
        user: str = "",
        channel_user: str | None = None,
        key: str = "",
        wait: bool = True,
        **options: Any,
    ) -> PusherClient:
        channels_user = user if channel_user is None else channel_user
        client = PusherClient(driver, where, next(_names), user)
        client.order(
            "connect",
            key=key or application.key,
            options={
                **_address(endpoint),
                "cluster": "",
                "channelAuthorization": _asking(f"{application.url}/auth", channels_user),
                "userAuthentication": _asking(f"{application.url}/user-auth", user),
                **options,
            },
        )
        connected.append(client)
        if wait:
            client.take("state:connected")
        return client

    yield connect
    for client in connected:
        client.order("disconnect")


@pytest.fixture(name="connect_echo")
def _connect_echo(driver: Driver, application: Application, where: str) -> Iterator[ConnectEcho]:
    connected: list[EchoClient] = []

    def connect(
        endpoint: Endpoint, *, user: str = "ada", broadcaster: str = "reverb"
    ) -> EchoClient:
        echo = EchoClient(driver, where, next(_names), user)
        echo.order(
            "echo",
            options={
                **_address(endpoint),
                "broadcaster": broadcaster,
                "cluster": "",
                "key": application.key,
                "authEndpoint": f"{application.url}/auth",
                "auth": {"params": {"user": user}, "headers": {}},
            },
        )
        connected.append(echo)
        echo.take("state:connected")
        return echo

    yield connect
    for echo in connected:
        echo.order("disconnect")


@pytest.fixture(name="balance")
def _balance(driver: Driver) -> Iterator[Balance]:
    balancers: list[Balancer] = []

    def balance(*endpoints: Endpoint) -> Balancer:
        balancer = Balancer(driver, [endpoint.port for endpoint in endpoints])
        balancers.append(balancer)
        return balancer

    yield balance
    for balancer in balancers:
        balancer.close()


def _asking(url: str, user: str) -> dict[str, Any]:
    """Tell pusher-js where to ask for a signature, in whose session."""
    return {"transport": "ajax", "endpoint": url, "params": {"user": user}}


def _address(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "wsHost": "127.0.0.1",
        "wsPort": endpoint.port,
        "forceTLS": False,
        "enabledTransports": ["ws"],
    }
