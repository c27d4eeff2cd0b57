"""Three nats-servers are one: the loss of any of them, the leader too, is nobody's business."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd, all_know, fence, join_all
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes, moment
from tests.e2e.application import Application
from tests.servers import NatsCluster, NatsServer

STREAM = "KV_pogo"
DEAD = "node declared dead"
WORKS_WITHIN = 15.0
OBSERVED = 12.0
"""Seconds after the loss in which nobody is declared dead: twice what that takes."""


@pytest.fixture(name="nats", scope="module")
def _nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    nats = NatsCluster(tmp_path_factory.mktemp("nats-cluster"))
    asyncio.run(nats.start())
    yield nats
    asyncio.run(nats.stop())


@pytest.fixture(name="around", scope="module")
def _around(
    nats: NatsCluster, application: Application, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Run edges and a broker that know all three servers."""
    settings = {"POGO_BUS": "nats", "POGO_NATS_URL": ",".join(nats.urls)}
    cluster = Cluster(application, settings, tmp_path_factory.mktemp("around"))
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        asyncio.run(cluster.stop())


@contextlib.asynccontextmanager
async def restored(nats: NatsCluster, server: NatsServer) -> AsyncIterator[None]:
    """Start or thaw a server in the end, and wait until the cluster is whole."""
    try:
        yield
    finally:
        if server.runs:
            server.thaw()
        else:
            await server.start()
        await nats.until_whole()


async def come_and_go(crowd: Crowd, edge: Node) -> None:
    """Join and leave one channel after the other, until cancelled."""
    member = await crowd.connect("restless", edge)
    while True:
        channel = f"presence-{uuid4().hex[:12]}"
        with contextlib.suppress(AssertionError):  # while the stream has no leader
            await member.join(channel, within=2.0)
        await member.leave(channel)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("harm", [NatsServer.kill, NatsServer.freeze])
async def test_leader_is_lost(
    nats: NatsCluster,
    around: Cluster,
    crowd: Crowd,
    channel: str,
    harm: Callable[[NatsServer], None],
) -> None:
    """The stream's leader dies or stands still: no user goes, no node is dead, and joins go on."""
    names = [f"user-{number}" for number in range(6)]
    members = await crowd.connect_each(names, around.edges * 2)
    await join_all(channel, members)
    await all_know(set(names), channel, members)
    dead = around.count(DEAD)
    busy = [asyncio.create_task(come_and_go(crowd, edge)) for edge in around.edges]
    leader = await nats.leader(STREAM)
    lost = time.monotonic()
    async with restored(nats, leader):
        await asyncio.to_thread(harm, leader)
        late = await crowd.connect_each(["late-0", "late-1", "late-2"], around.edges)
        joins = [member.join(channel, within=WORKS_WITHIN) for member in late]
        await asyncio.gather(*joins)
        left = lost + WORKS_WITHIN - time.monotonic()
        await all_know({*names, "late-0", "late-1", "late-2"}, channel, [*members, *late], left)
        await moment(lost, OBSERVED)
    await fence(crowd, channel, around.edges[0], [*members, *late])
    for edge in around.edges:
        await becomes(200, edge.status, WORKS_WITHIN)
    assert [False] * 3 == [task.done() for task in busy]
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)

    assert 0 == around.count(DEAD) - dead
    everyone = {*names, "late-0", "late-1", "late-2"}
    removed = [change for member in members for change in member.all_changes(channel, lost)]
    assert [] == [change for change in removed if change.removesuffix(" removed") in everyone]
    assert [["added"]] * 6 == [member.changes(channel, "late-0", lost) for member in members]
    assert [] == [closed for member in (*members, *late) for closed in member.closes]
