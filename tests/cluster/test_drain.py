"""A rolling restart: three edges are replaced one after the other, and no user goes for it."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import SHUTDOWN_TIMEOUT
from tests.cluster.crowd import Crowd, all_know, fence, join_all
from tests.cluster.members import Member
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes

USERS = 60
WINDOW = 0.1
AWAY = 2.0
"""Seconds that a user may be away before others are told."""

DRAIN_SHARE = 0.8
SLOWEST = 100.0
"""Closes a second below which an edge need not go."""


def drain_rate(connections: int) -> float:
    """Tell how many clients a second an edge closes: all in most of its time, or some at least."""
    return max(SLOWEST, connections / (SHUTDOWN_TIMEOUT * DRAIN_SHARE))


def busiest(times: Sequence[float], window: float) -> int:
    """Count what happened within the busiest window."""
    ordered = sorted(times)
    return max(
        sum(start <= other < start + window for other in ordered[index:])
        for index, start in enumerate(ordered)
    )


async def drain(edge: Node) -> list[int]:
    """Restart an edge as a deployment does, and return what its health was until it ended.

    That is 0 where it did not listen.
    """
    edge.terminate()
    ending = asyncio.create_task(edge.ended())
    statuses: list[int] = []
    while not ending.done():
        try:
            statuses.append(await edge.status())
        except OSError:
            statuses.append(0)
        await asyncio.sleep(0.01)
    assert 0 == await ending
    await edge.start()
    await becomes(200, edge.status, 5.0)
    return statuses


async def publish_on(cluster: Cluster, channel: str, codes: list[int | None]) -> None:
    """Publish without a pause, until cancelled, and keep the codes."""
    while True:
        codes.append(await cluster.published(channel))
        await asyncio.sleep(0.02)


@pytest.mark.timeout(180)
async def test_rolling_restart(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """Three edges are restarted in turn under load: clients move gently, and no user goes."""
    edges = cluster.edges
    users = [f"user-{number}" for number in range(USERS)]
    members = [await crowd.connect(user, edges[0], reconnects=True) for user in users]
    await join_all(channel, members)
    await all_know(set(users), channel, members, 10.0)
    codes: list[int | None] = []
    publishing = asyncio.create_task(publish_on(cluster, channel, codes))
    for edge in edges:
        for member in members:
            # A balancer sends nobody to an edge that says that it is not healthy.
            member.moves_to(*(other for other in edges if other is not edge))
        begun = time.monotonic()
        statuses = await drain(edge)
        moved = [at for member in members for at in member.handshakes if at >= begun]

        # It turns unready at once, and stays so, while its clients go one after the other.
        unready = [status for status in statuses if status != 200]
        assert len(unready) > 10
        assert unready == statuses[-len(unready) :]
        if moved:
            assert busiest(moved, WINDOW) <= 2 * drain_rate(len(moved)) * WINDOW
        await all_know(set(users), channel, members, 10.0)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    assert 0 == cluster.publish(channel, "done", {})
    for member in members:
        await member.hears(channel, "done")
    await fence(crowd, channel, edges[0], members)
    await all_know(set(users), channel, members)

    assert {0} == set(codes)
    assert {4200} == {closed.code for member in members for closed in member.closes}
    late = {member.user_id for member in members if longest_gap(member) > AWAY}
    assert len(late) <= USERS // 10
    assert set() == set(users) & told_of(members) - late


def longest_gap(member: Member) -> float:
    """Tell for how long a member was away at a time."""
    return max((back - gone for gone, back in member.gaps()), default=0.0)


def told_of(members: Sequence[Member]) -> set[str]:
    """Name all users of whom somebody was told that they are gone."""
    return {each.user_id for member in members for each in member.seen if each.change == "removed"}
