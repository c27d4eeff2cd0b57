"""Webhooks of a cluster whose nodes die: each fact is told once, and by nobody too early."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import SHUTDOWN_TIMEOUT
from tests.cluster.crowd import Crowd, join_all
from tests.cluster.hooks import Hooks, leader, running_hooks
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes, eventually
from tests.e2e.application import Application
from tests.servers import HOST, NatsServer, RedisServer

pytestmark = pytest.mark.timeout(120)

DELAY = 3.0
"""Seconds that what ends has to have ended: the default."""

SOON = 5.0
"""Seconds until what is told at once has come."""

DEAD_AFTER = 10.0
"""Seconds until everybody knows that a node is dead: 6 without a sign of life, and some."""

LED_WITHIN = 8.0
"""Seconds until the next broker leads, once it is known that the last one is gone."""


@pytest.fixture(name="hooks", scope="module")
def _hooks() -> Iterator[Hooks]:
    with running_hooks() as hooks:
        yield hooks


@pytest.fixture(name="webhooked", scope="module")
def _webhooked(
    kind: str, application: Application, hooks: Hooks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, NatsServer | RedisServer]]:
    """Run three edges and two brokers of an app with one endpoint."""
    folder: Path = tmp_path_factory.mktemp(f"webhooks-{kind}")
    app = f'[[apps]]\nid = "{application.app_id}"\n'
    (folder / "pogo.toml").write_text(
        f'{app}\n[[apps.webhooks]]\nname = "hooks"\nurl = "{hooks.url}"\n'
    )
    server = NatsServer(folder / "bus") if kind == "nats" else RedisServer(folder / "bus")
    asyncio.run(server.start())
    try:
        settings = {"POGO_BUS": kind, "POGO_SHUTDOWN_TIMEOUT": f"{SHUTDOWN_TIMEOUT}s"}
        where = {"POGO_NATS_URL": f"nats://{HOST}:{server.port}"}
        if kind == "redis":
            where = {"POGO_REDIS_PORT": str(server.port)}
        cluster = Cluster(application, {**settings, **where}, folder, bus_port=server.port)
        try:
            asyncio.run(cluster.start(brokers=2))
            yield cluster, server
        finally:
            asyncio.run(cluster.stop())
    finally:
        asyncio.run(server.stop())


@pytest.fixture(name="server")
def _server(webhooked: tuple[Cluster, NatsServer | RedisServer]) -> NatsServer | RedisServer:
    return webhooked[1]


@pytest.fixture(name="cluster")
async def _cluster(
    webhooked: tuple[Cluster, NatsServer | RedisServer],
) -> AsyncIterator[Cluster]:
    """Give the cluster, whole and led; what was done to it is undone in the end."""
    cluster, _ = webhooked
    known = len(cluster.tracebacks())
    await eventually(
        lambda: any(
            broker.logged("looks after the webhooks of an app") for broker in cluster.brokers
        ),
        SOON,
    )
    yield cluster
    unexpected = cluster.tracebacks()[known:]
    await cluster.repair()

    assert [] == unexpected


@pytest.fixture(name="room")
def _room() -> str:
    """Name a channel that no other test uses."""
    return f"room-{uuid4().hex[:12]}"


def began(count: int) -> list[str]:
    """Tell what is told of a channel with so many subscribers that came one by one."""
    return ["channel_occupied", *(f"subscription_count {n + 1}" for n in range(count))]


async def test_each_fact_is_told_once(
    cluster: Cluster, hooks: Hooks, crowd: Crowd, channel: str
) -> None:
    """A user on all edges is added once and removed once; who is back in time never left."""
    everywhere = await crowd.connect_each(["ada", "ada", "ada"], cluster.edges)
    await join_all(channel, everywhere)
    ben = await crowd.connect("ben", cluster.edges[1])
    await ben.join(channel)
    expected = ["channel_occupied", "member_added ada", "member_added ben"]
    await hooks.tell(channel, expected, SOON)
    for _ in range(3):
        await ben.leave(channel)
        await asyncio.sleep(DELAY / 3)
        await ben.join(channel)
    await asyncio.gather(*(member.close() for member in everywhere))
    await hooks.tell(channel, [*expected, "member_removed ada"], DELAY + SOON)
    await ben.close()

    await hooks.tell(
        channel,
        [*expected, "member_removed ada", "member_removed ben", "channel_vacated"],
        DELAY + SOON,
    )


async def test_subscribers_are_counted(
    cluster: Cluster, hooks: Hooks, crowd: Crowd, room: str
) -> None:
    """A channel is occupied and vacated once, and its count is that of all edges."""
    members = await crowd.connect_each(["a", "b", "c"], cluster.edges)
    for number, member in enumerate(members, 1):
        await member.join(room)
        await hooks.tell(room, began(number), SOON)
    await asyncio.gather(*(member.close() for member in members))
    await eventually(lambda: hooks.told(room)[-1] == "channel_vacated", DELAY + SOON)

    assert 1 == hooks.told(room).count("channel_occupied")
    assert 1 == hooks.told(room).count("channel_vacated")
    assert "subscription_count 0" == hooks.told(room)[-2]


async def test_the_only_edge_of_a_channel_dies(
    cluster: Cluster, hooks: Hooks, crowd: Crowd, channel: str, room: str
) -> None:
    """What it had is removed and vacated once, by those who never had it."""
    edge = cluster.edges[0]
    member = await crowd.connect("ada", edge)
    await join_all(channel, [member])
    await member.join(room)
    expected = ["channel_occupied", "member_added ada"]
    await hooks.tell(channel, expected, SOON)
    await hooks.tell(room, began(1), SOON)
    killed = time.monotonic()
    edge.kill()
    ended = ["member_removed ada", "channel_vacated"]
    await hooks.tell(channel, [*expected, *ended], DEAD_AFTER + DELAY + SOON)
    vacated = ["subscription_count 0", "channel_vacated"]
    await hooks.tell(room, [*began(1), *vacated], SOON)

    assert time.monotonic() - killed > DELAY


def killed(broker: Node) -> None:
    """End a broker as a crash does."""
    broker.kill()


def terminated(broker: Node) -> None:
    """End a broker as a deployment does."""
    broker.terminate()


def frozen(broker: Node) -> None:
    """Have a broker stand still."""
    broker.freeze()


@pytest.mark.parametrize(
    ("end", "known_within"),
    [(killed, DEAD_AFTER), (terminated, SOON), (frozen, DEAD_AFTER)],
    ids=["killed", "terminated", "frozen"],
)
async def test_the_leader_ends(
    cluster: Cluster,
    hooks: Hooks,
    crowd: Crowd,
    channel: str,
    *,
    end: Callable[[Node], None],
    known_within: float,
) -> None:
    """The other broker tells what happens meanwhile, and what was told is not told again."""
    stays, leaves = await crowd.connect_each(["stays", "leaves"], cluster.edges[:2])
    await join_all(channel, [stays, leaves])
    before = ["channel_occupied", "member_added leaves", "member_added stays"]
    await hooks.tell_all(channel, before, SOON)
    last = leader(cluster)
    end(last)
    await leaves.close()
    comes = await crowd.connect("comes", cluster.edges[2])
    await comes.join(channel)
    during = [*before, "member_added comes", "member_removed leaves"]
    await hooks.tell_all(channel, during, known_within + LED_WITHIN + SOON)
    assert leader(cluster) is not last
    last.thaw()
    await comes.close()
    await hooks.tell_all(channel, [*during, "member_removed comes"], DELAY + LED_WITHIN + SOON)
    await stays.close()

    after = [*during, "member_removed comes", "member_removed stays", "channel_vacated"]
    await hooks.tell_all(channel, after, DELAY + LED_WITHIN + SOON)


async def test_nobody_looks_for_a_while(
    cluster: Cluster, hooks: Hooks, crowd: Crowd, channel: str
) -> None:
    """What happens while there is no broker is told when there is one again."""
    stays, leaves = await crowd.connect_each(["stays", "leaves"], cluster.edges[:2])
    await join_all(channel, [stays, leaves])
    before = ["channel_occupied", "member_added leaves", "member_added stays"]
    await hooks.tell_all(channel, before, SOON)
    for broker in cluster.brokers:
        broker.kill()
    await leaves.close()
    comes = await crowd.connect("comes", cluster.edges[2])
    await comes.join(channel)
    await asyncio.gather(*(broker.start() for broker in cluster.brokers))

    during = [*before, "member_added comes", "member_removed leaves"]
    await hooks.tell_all(channel, during, DEAD_AFTER + LED_WITHIN + SOON)


@pytest.mark.parametrize("with_broker", [False, True], ids=["alone", "with-brokers"])
async def test_the_registry_comes_back_empty(
    cluster: Cluster,
    server: NatsServer | RedisServer,
    hooks: Hooks,
    crowd: Crowd,
    channel: str,
    *,
    with_broker: bool,
) -> None:
    """Nobody who stayed is told to be gone, also not by brokers that knew nobody before."""
    members = await crowd.connect_each(["a", "b", "c"], cluster.edges)
    await join_all(channel, members)
    before = ["channel_occupied", "member_added a", "member_added b", "member_added c"]
    await hooks.tell_all(channel, before, SOON)
    if with_broker:
        for broker in cluster.brokers:
            broker.kill()
    server.kill()
    if isinstance(server, RedisServer):
        server.forget()
    await server.start()
    if with_broker:
        await asyncio.gather(*(broker.start() for broker in cluster.brokers))
    for edge in cluster.edges:
        await becomes(200, edge.status, DEAD_AFTER)
    last = await crowd.connect("last", cluster.edges[0])
    await last.join(channel)
    await eventually(
        lambda: "member_added last" in hooks.told(channel), DEAD_AFTER + LED_WITHIN + SOON
    )
    await last.close()
    await eventually(
        lambda: "member_removed last" in hooks.told(channel), DEAD_AFTER + LED_WITHIN + SOON
    )

    told = hooks.told(channel)
    ends = [each for each in told if each.startswith(("member_removed", "channel_vacated"))]
    assert ["member_removed last"] == ends
    if isinstance(server, NatsServer):
        # Its ledger is on disk, so nothing is told twice either.
        assert sorted([*before, "member_added last", *ends]) == sorted(told)


async def test_client_events_and_cache_misses(
    cluster: Cluster, hooks: Hooks, crowd: Crowd, channel: str
) -> None:
    """A client event is told once, by its edge, and a miss once, whoever misses it where."""
    members = await crowd.connect_each(["a", "b", "c"], cluster.edges)
    await join_all(channel, members)
    await members[0].trigger(channel, "client-typing", {"key": "A"})
    await members[1].hears(channel, "client-typing")
    cache = f"cache-{secrets.token_hex(6)}"
    began_at = time.time()
    await join_all(cache, members)
    await eventually(lambda: "client_event a" in hooks.told(channel), SOON)
    await eventually(lambda: "cache_miss" in hooks.told(cache), SOON)
    await eventually(lambda: "channel_occupied" in hooks.told(cache), SOON)

    (event,) = (event for event in hooks.events(channel) if event["name"] == "client_event")
    assert {
        "name": "client_event",
        "channel": channel,
        "event": "client-typing",
        "data": '{"key": "A"}',
        "socket_id": members[0].socket_id,
        "user_id": "a",
        "id": event["id"],
    } == event
    intervals = int(time.time() // 3) - int(began_at // 3) + 1
    assert 1 <= hooks.told(cache).count("cache_miss") <= intervals
