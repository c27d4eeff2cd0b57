"""What an app is allowed is shared out over the nodes that live, and anew when one is killed."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.nodes import Node
from tests.cluster.waiting import eventually
from tests.e2e.application import Application
from tests.edge.helpers import Client
from tests.pusher.forgeries import Signer
from tests.servers import HOST, NatsServer, RedisServer

EVENTS = 40.0
CLIENT_EVENTS = 20.0
"""What the app may have in a second, of all brokers and of all edges."""

WINDOW = 1.0
"""Seconds for which callers ask for more than there is."""

LEAST = 0.8
"""What of a rate a caller gets at least who asks all the time."""

SETTLES_WITHIN = 20.0
"""Seconds until the others know of a node that was killed: three beats, and some to spare."""


@pytest.fixture(name="rated")
async def _rated(kind: str, tmp_path: Path) -> AsyncIterator[tuple[Cluster, Application]]:
    """Two edges and two brokers on a bus server of their own, and an app with rates."""
    application = Application("rated", "rated-key", secrets.token_hex(16), "")
    configure(tmp_path, application, EVENTS, CLIENT_EVENTS)
    server = NatsServer(tmp_path / "bus") if kind == "nats" else RedisServer(tmp_path / "bus")
    async with server:
        where = {"POGO_NATS_URL": f"nats://{HOST}:{server.port}"}
        if kind == "redis":
            where = {"POGO_REDIS_PORT": str(server.port)}
        # Only the app's rate counts.
        free = {"POGO_MESSAGE_RATE": "-1", "POGO_CLIENT_EVENT_RATE": "-1"}
        cluster = Cluster(application, {"POGO_BUS": kind, **where, **free}, tmp_path)
        try:
            await cluster.start(edges=2, brokers=2)
            yield cluster, application
        finally:
            await cluster.stop()
    assert [] == cluster.tracebacks()


def configure(folder: Path, application: Application, events: float, client_events: float) -> None:
    """Write what the app may have in a second."""
    app = f'[[apps]]\nid = "{application.app_id}"\n'
    rates = f"event_rate = {events}\ntotal_client_event_rate = {client_events}\n"
    (folder / "pogo.toml").write_text(app + rates)


def publish_all(cluster: Cluster, broker: int) -> float:
    """Publish without a pause, and return how many events a second were taken."""
    while cluster.publish("news", "event", {}, broker=broker) == 0:
        pass
    begun = time.monotonic()
    taken = 0
    while (elapsed := time.monotonic() - begun) < WINDOW:
        taken += cluster.publish("news", "event", {}, broker=broker) == 0
    return taken / elapsed


async def send_all(client: Client) -> float:
    """Send client events without a pause, and return how many a second were let through."""
    while not await refused(client, 10):
        pass
    begun = time.monotonic()
    passed = 0
    while (elapsed := time.monotonic() - begun) < WINDOW:
        passed += 5 - await refused(client, 5)
    return passed / elapsed


async def refused(client: Client, count: int) -> int:
    """Send so many client events; returns how many were refused."""
    for _ in range(count):
        await client.send("client-x", {}, channel="private-a")
    await client.send("pusher:ping", {})
    codes = []
    while (message := await client.receive())["event"] != "pusher:pong":
        codes.append(message["data"]["code"])

    assert {4301} >= set(codes)
    return len(codes)


async def becomes_about(rate: float, measure: Callable[[], Awaitable[float]]) -> None:
    """Wait until what is let through is a rate, more or less."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while not about(rate, actual := await measure()):
        assert time.monotonic() < deadline, f"{actual:.1f} a second, not {rate}"


async def reload(node: Node) -> None:
    """Have a node read its apps again."""
    before = len(node.logged("apps reloaded"))
    node.reload()
    await eventually(lambda: len(node.logged("apps reloaded")) > before, 5.0)


def about(rate: float, actual: float) -> bool:
    """Whether a rate was held; events are whole, so that one more can be in the window."""
    return LEAST * rate <= actual <= rate + 2 / WINDOW


@pytest.mark.timeout(120)
async def test_brokers(rated: tuple[Cluster, Application]) -> None:
    """Two brokers allow half of it each; one that is killed leaves its half to the other one."""
    cluster, _ = rated

    async def measure(broker: int) -> float:
        return await asyncio.to_thread(publish_all, cluster, broker)

    await becomes_about(EVENTS / 2, lambda: measure(0))
    rates = await asyncio.gather(measure(0), measure(1))
    assert [True, True] == [about(EVENTS / 2, rate) for rate in rates], rates

    cluster.brokers[1].kill()
    await becomes_about(EVENTS, lambda: measure(0))
    await cluster.brokers[1].start()
    await becomes_about(EVENTS / 2, lambda: measure(0))


@pytest.mark.timeout(120)
async def test_a_reload(rated: tuple[Cluster, Application], tmp_path: Path) -> None:
    """SIGHUP brings new rates to those who are connected: here none, and then a lower one."""
    cluster, application = rated
    broker, edge = cluster.brokers[0], cluster.edges[0]
    url = f"ws://{HOST}:{edge.port}/app/{application.key}?protocol=7"
    async with Client(url) as client:
        signer = Signer(application.key, application.secret.encode(), client.socket_id)
        await client.send("pusher:subscribe", signer.request("private-a"))
        await client.expect("pusher_internal:subscription_succeeded")
        for rate, is_limited in ((-1.0, False), (0.2, True)):
            configure(tmp_path, application, rate, rate)
            for node in (broker, edge):
                await reload(node)
            published = [await cluster.published("news") for _ in range(100)]

            assert is_limited == (None in published)
            assert is_limited == bool(await refused(client, 100))


@pytest.mark.timeout(120)
async def test_edges(rated: tuple[Cluster, Application]) -> None:
    """Two edges allow half of it each; one that is killed leaves its half to the other one."""
    cluster, application = rated

    async def measure(edge: Node) -> float:
        url = f"ws://{HOST}:{edge.port}/app/{application.key}?protocol=7"
        async with Client(url) as client:
            signer = Signer(application.key, application.secret.encode(), client.socket_id)
            await client.send("pusher:subscribe", signer.request("private-a"))
            await client.expect("pusher_internal:subscription_succeeded")
            return await send_all(client)

    one, two = cluster.edges
    await becomes_about(CLIENT_EVENTS / 2, lambda: measure(one))
    await becomes_about(CLIENT_EVENTS / 2, lambda: measure(two))
    two.kill()
    await becomes_about(CLIENT_EVENTS, lambda: measure(one))
