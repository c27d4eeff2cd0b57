"""Clusters on NATS and on Redis, and who connects to them.

Processes are slow to start, so all tests of one bus share one cluster. A test may do to it what it
likes: afterwards, whatever was killed is started again.
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from pogo.bus import Bus
from pogo.bus.nats import NatsBus
from pogo.bus.redis import RedisBus, RedisOptions
from pogo.cluster import BROKER, EDGE, ClusterQueries, Edges, Membership
from pogo.registry import Registry
from pogo.registry.nats import NatsRegistry
from pogo.registry.redis import RedisRegistry
from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd
from tests.cluster.nodes import Node
from tests.cluster.waiting import eventually
from tests.e2e.application import Application, running_application
from tests.e2e.clients import PusherClient
from tests.e2e.driver import Driver, running_driver
from tests.servers import HOST, NatsServer, RedisServer

SHUTDOWN_TIMEOUT = 6.0
"""Seconds that edges have for closing their clients."""


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster and its one bus server."""

    cluster: Cluster
    server: NatsServer | RedisServer


class ConnectPusher(Protocol):
    """Connects a pusher-js client in Node, and waits until it is connected."""

    def __call__(self, edge: Node, user: str, *, watchlist: str = "") -> PusherClient:
        """Connect, as that user of the application, who watches users `a,b,c`."""


@pytest.fixture(name="application", scope="session")
def _application() -> Iterator[Application]:
    with running_application("shop", "shop-key", secrets.token_hex(16)) as application:
        yield application


@pytest.fixture(name="kind", scope="session", params=["nats", "redis"])
def _kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="running", scope="session")
def _running(
    kind: str, application: Application, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp(kind)
    app = f'[[apps]]\nid = "{application.app_id}"\n'
    (folder / "pogo.toml").write_text(app + "subscription_count = true\nwatchlist = true\n")
    server = NatsServer(folder / "bus") if kind == "nats" else RedisServer(folder / "bus")
    asyncio.run(server.start())
    try:
        settings = {"POGO_BUS": kind, "POGO_SHUTDOWN_TIMEOUT": f"{SHUTDOWN_TIMEOUT}s"}
        where = {"POGO_NATS_URL": f"nats://{HOST}:{server.port}"}
        if kind == "redis":
            where = {"POGO_REDIS_PORT": str(server.port)}
        cluster = Cluster(application, {**settings, **where}, folder, bus_port=server.port)
        try:
            asyncio.run(cluster.start())
            yield Running(cluster, server)
        finally:
            asyncio.run(cluster.stop())
    finally:
        asyncio.run(server.stop())


@pytest.fixture(name="queries")
async def _queries(running: Running) -> AsyncIterator[ClusterQueries]:
    """Ask the cluster as a broker does, from this process."""
    port = running.server.port
    bus: Bus
    registry: Registry
    if isinstance(running.server, NatsServer):
        bus, registry = NatsBus([running.server.url]), NatsRegistry([running.server.url])
    else:
        bus, registry = RedisBus(RedisOptions(port=port)), RedisRegistry(RedisOptions(port=port))
    broker = Membership(registry, BROKER, f"asker-{uuid4().hex[:6]}", ready=True)
    edges = Edges(bus, broker)
    await bus.start()
    await registry.start()
    broker.start()
    edges.start()
    await bus.flush()
    await eventually(lambda: broker.sees_all and len(broker.nodes.of_role(EDGE)) >= 3, 10.0)
    yield ClusterQueries(edges)
    edges.stop()
    await broker.leave()
    await registry.close()
    await bus.close()


@pytest.fixture(name="server")
def _server(running: Running) -> Iterator[NatsServer | RedisServer]:
    """Give the bus server; it runs again in the end."""
    yield running.server
    if not running.server.runs:
        asyncio.run(running.server.start())


@pytest.fixture(name="cluster")
def _cluster(running: Running, server: NatsServer | RedisServer) -> Iterator[Cluster]:
    """Give the cluster, whole; what was done to it is undone in the end."""
    del server
    cluster = running.cluster
    known = len(cluster.tracebacks())
    yield cluster
    unexpected = cluster.tracebacks()[known:]
    asyncio.run(cluster.repair())

    assert [] == unexpected


@pytest.fixture(name="crowd")
async def _crowd(application: Application) -> AsyncIterator[Crowd]:
    """Give what makes members; no one of them may have seen a rule broken."""
    crowd = Crowd(application)
    yield crowd
    await crowd.close()

    assert [] == crowd.violations()


@pytest.fixture(name="channel")
def _channel() -> str:
    """Name a presence channel that no other test uses."""
    return f"presence-{uuid4().hex[:12]}"


@pytest.fixture(name="driver", scope="session")
def _driver() -> Iterator[Driver]:
    with running_driver() as driver:
        yield driver


_names = (f"cluster-client-{number}" for number in itertools.count())


@pytest.fixture(name="connect_pusher")
def _connect_pusher(driver: Driver, application: Application) -> Iterator[ConnectPusher]:
    connected: list[PusherClient] = []

    def connect(edge: Node, user: str, *, watchlist: str = "") -> PusherClient:
        client = PusherClient(driver, "node", next(_names), user)
        options = {
            "wsHost": HOST,
            "wsPort": edge.port,
            "forceTLS": False,
            "enabledTransports": ["ws"],
            "cluster": "",
            "channelAuthorization": _asking(f"{application.url}/auth", user),
            "userAuthentication": _asking(f"{application.url}/user-auth", user, watchlist),
        }
        client.order("connect", key=application.key, options=options)
        connected.append(client)
        client.take("state:connected")
        return client

    yield connect
    for client in connected:
        client.order("disconnect")


def _asking(url: str, user: str, watchlist: str = "") -> dict[str, object]:
    """Tell pusher-js where to ask for a signature, in whose session."""
    params = {"user": user, "watchlist": watchlist}
    return {"transport": "ajax", "endpoint": url, "params": params}
