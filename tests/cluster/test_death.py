"""Nodes that die, stand still or are cut off, and a server that forgets: what clients see of it."""

import asyncio
import time
from uuid import uuid4

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd, all_know, fence, join_all
from tests.cluster.members import Member
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes, eventually, moment
from tests.servers import NatsServer, RedisServer

REAPED_WITHIN = 10.0
"""Seconds until a dead edge's users are gone: 6 without a sign of life, and some for the news."""

BACK_WITHIN = 10.0
FILLED_WITHIN = 8.0
STILL = 20.0
CUT = 9.0
MANY = 60
"""Clients of an edge that lost its bus: closed at 100 a second, they take a while."""


def named() -> str:
    """Name a presence channel that no other scenario uses."""
    return f"presence-{uuid4().hex[:12]}"


async def test_killed_edge_takes_its_users(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """The users of a killed edge are removed once, but for those who are or soon are elsewhere."""
    doomed, *others = cluster.edges
    watchers = await crowd.connect_each(["w-1", "w-2"], others)
    names = [f"lost-{number}" for number in range(5)]
    lost = await crowd.connect_each(names, [doomed] * 5)
    both = await crowd.connect_each(["both", "both"], [doomed, others[0]])
    mover = await crowd.connect("mover", doomed, reconnects=True)
    mover.moves_to(*others)
    everyone = [*watchers, *lost, *both, mover]
    await join_all(channel, everyone)
    staying = {"w-1", "w-2", "both", "mover"}
    await all_know({*staying, *names}, channel, everyone)
    killed = time.monotonic()
    doomed.kill()
    await all_know(staying, channel, [*watchers, both[1]], REAPED_WITHIN)
    await doomed.start()
    back = await crowd.connect(names[0], doomed)
    await back.join(channel)
    await all_know({*staying, names[0]}, channel, [*watchers, both[1], mover, back])
    await fence(crowd, channel, others[1], watchers)

    for watcher in watchers:
        assert [] == watcher.changes(channel, "both", killed)
        assert [] == watcher.changes(channel, "mover", killed)
        assert ["removed", "added"] == watcher.changes(channel, names[0], killed)
        for name in names[1:]:
            assert ["removed"] == watcher.changes(channel, name, killed)


@pytest.mark.timeout(180)
async def test_edges_that_come_back(cluster: Cluster, crowd: Crowd) -> None:
    """One edge stands still, one is cut off, one for too long: the rosters are right at last."""
    still, cut, deaf = await asyncio.gather(
        cluster.add_edge(), cluster.add_edge(), cluster.add_edge(POGO_BUS_GRACE="3s")
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(standing_still(cluster, crowd, still))
        group.create_task(cut_off(cluster, crowd, cut))
        group.create_task(cut_off_for_long(cluster, crowd, deaf))


async def standing_still(cluster: Cluster, crowd: Crowd, edge: Node) -> None:
    """An edge that stood still was declared dead; its users come back with it."""
    scene = await Scene.arrange(cluster, crowd, edge, "still")
    started = time.monotonic()
    edge.freeze()
    await all_know(scene.others, scene.channel, scene.watchers, REAPED_WITHIN)
    await moment(started, STILL)
    edge.thaw()
    await scene.is_whole_again()

    for watcher in scene.watchers:
        assert [] == watcher.changes(scene.channel, "both", started)
        for name in scene.names:
            assert ["removed", "added"] == watcher.changes(scene.channel, name, started)


async def cut_off(cluster: Cluster, crowd: Crowd, edge: Node) -> None:
    """An edge was cut off for about as long as it takes to be declared dead, and is back."""
    scene = await Scene.arrange(cluster, crowd, edge, "cut")
    started = time.monotonic()
    edge.cable.cut()
    await moment(started, CUT)
    edge.cable.mend()
    await scene.is_whole_again()

    for watcher in scene.watchers:
        assert [] == watcher.changes(scene.channel, "both", started)
        for name in scene.names:
            assert watcher.changes(scene.channel, name, started) in ([], ["removed", "added"])
    assert [] == [closed for member in scene.inside for closed in member.closes]


async def cut_off_for_long(cluster: Cluster, crowd: Crowd, edge: Node) -> None:
    """An edge that stays cut off closes its clients with 4200, but not all at once."""
    channel = named()
    watchers = await crowd.connect_each(["w-0", "w-1", "w-2"], cluster.edges)
    deaf = await crowd.connect_each([f"deaf-{number}" for number in range(MANY)], [edge] * MANY)
    await join_all(channel, [*watchers, *deaf])
    everyone = {member.user_id for member in (*watchers, *deaf)}
    await all_know(everyone, channel, watchers, BACK_WITHIN)
    edge.cable.cut()
    await eventually(
        lambda: all(member.closes for member in deaf),
        15.0,
        lambda: f"{sum(not member.closes for member in deaf)} are still connected",
    )
    closes = [member.closes[0] for member in deaf]
    times = [closed.at for closed in closes]

    assert {4200} == {closed.code for closed in closes}
    # Half of what the edge means to take.
    assert max(times) - min(times) > MANY / 100 / 2
    await all_know({"w-0", "w-1", "w-2"}, channel, watchers, REAPED_WITHIN)
    edge.cable.mend()
    await becomes(200, edge.status, BACK_WITHIN)
    await fence(crowd, channel, edge, watchers)


class Scene:
    """Users of an edge to which something will happen, and watchers on all others."""

    def __init__(self, crowd: Crowd, edge: Node) -> None:
        self.channel = named()
        self.names: list[str] = []
        self.watchers: list[Member] = []
        self.inside: list[Member] = []
        self._crowd = crowd
        self._edge = edge

    @classmethod
    async def arrange(cls, cluster: Cluster, crowd: Crowd, edge: Node, prefix: str) -> "Scene":
        """Have everyone join one channel; one user is at the edge and elsewhere."""
        scene = cls(crowd, edge)
        scene.names = [f"{prefix}-{number}" for number in range(3)]
        names = [*scene.names, "both"]
        scene.watchers = await crowd.connect_each(["w-0", "w-1", "both"], cluster.edges)
        scene.inside = await crowd.connect_each(names, [edge] * len(names))
        await join_all(scene.channel, [*scene.watchers, *scene.inside])
        await all_know({*scene.others, *names}, scene.channel, [*scene.watchers, *scene.inside])
        return scene

    @property
    def others(self) -> set[str]:
        """Who is left without the edge."""
        return {watcher.user_id for watcher in self.watchers}

    async def is_whole_again(self) -> None:
        """Wait until all know all, and whoever comes now is seen by all."""
        everyone = [*self.watchers, *self.inside]
        await all_know({*self.others, *self.names}, self.channel, everyone, BACK_WITHIN)
        await becomes(200, self._edge.status, BACK_WITHIN)
        await fence(self._crowd, self.channel, self._edge, everyone)
        await all_know({*self.others, *self.names}, self.channel, everyone)


@pytest.mark.parametrize("late_by", [0.0, 3.0])
async def test_empty_server_is_filled(
    cluster: Cluster,
    server: NatsServer | RedisServer,
    crowd: Crowd,
    channel: str,
    late_by: float,
) -> None:
    """A server that comes back empty is told all again, by one edge later: clients see nothing."""
    names = [f"user-{number}" for number in range(6)]
    members = await crowd.connect_each([*names, names[0]], [*cluster.edges * 2, cluster.edges[1]])
    await join_all(channel, members)
    await all_know(set(names), channel, members)
    emptied = time.monotonic()
    cluster.edges[2].cable.cut()
    server.kill()
    server.forget()
    await server.start()
    await asyncio.sleep(late_by)
    cluster.edges[2].cable.mend()
    back = time.monotonic()
    late = await crowd.connect_each(["late-0", "late-1", "late-2"], cluster.edges)
    await asyncio.gather(*(member.join(channel, within=FILLED_WITHIN) for member in late))
    left = back + FILLED_WITHIN - time.monotonic()
    await all_know({*names, "late-0", "late-1", "late-2"}, channel, [*members, *late], left)
    await fence(crowd, channel, cluster.edges[0], [*members, *late])

    assert [] == [
        change
        for member in members
        for name in names
        for change in member.changes(channel, name, emptied)
    ]
    assert [] == [closed for member in members for closed in member.closes]
