"""What can be asked of the cluster, and what it tells by itself: counts and watched users."""

from pogo.cluster import ChannelCount, ClusterQueries, Count, Ids
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import ConnectPusher
from tests.cluster.crowd import Crowd, all_know, join_all
from tests.cluster.members import Member
from tests.cluster.waiting import eventually

COUNT = "pusher_internal:subscription_count"


def last_count(member: Member, channel: str) -> int:
    """Return the last number of subscribers that a member was told; 0 for none."""
    told = [data for name, event, data in member.events if (name, event) == (channel, COUNT)]
    return int(told[-1]["subscription_count"]) if told else 0


async def test_channels_and_users(
    cluster: Cluster, crowd: Crowd, queries: ClusterQueries, channel: str
) -> None:
    """Subscriptions are added up over the edges, users are counted once, and all is complete."""
    app = cluster.application.app_id
    members = await crowd.connect_each(["ada", "bob", "carol"], cluster.edges)
    tab = await crowd.connect("ada", cluster.edges[1])
    everyone = [*members, tab]
    await join_all(channel, everyone)
    await join_all(f"private-{channel}", members)
    await all_know({"ada", "bob", "carol"}, channel, everyone)
    for member in (members[0], tab):
        await member.sign_in()
    found = await queries.channels(app)

    assert found.complete
    assert ChannelCount(4, 3) == found.by_name[channel]
    assert ChannelCount(3, 0) == found.by_name[f"private-{channel}"]
    assert (ChannelCount(4, 3), True) == await queries.channel(app, channel)
    assert Ids(frozenset({"ada", "bob", "carol"}), complete=True) == await queries.members(
        app, channel
    )
    assert Ids(frozenset({"ada"}), complete=True) == await queries.users(app)
    assert Count(4, complete=True) == await queries.connections(app)


async def test_a_frozen_edge_makes_it_incomplete(
    cluster: Cluster, crowd: Crowd, queries: ClusterQueries, channel: str
) -> None:
    """While an edge stands still its connections are missing, and the answer says so."""
    app = cluster.application.app_id
    members = await crowd.connect_each(["ada", "bob", "carol"], cluster.edges)
    await join_all(f"private-{channel}", members)
    cluster.edges[2].freeze()
    found = await queries.channels(app)
    cluster.edges[2].thaw()

    assert not found.complete
    assert ChannelCount(2, 0) == found.by_name[f"private-{channel}"]
    whole = await queries.channels(app)
    assert (True, 3) == (whole.complete, whole.by_name[f"private-{channel}"].subscriptions)


async def test_a_user_is_ended_everywhere(
    cluster: Cluster, crowd: Crowd, queries: ClusterQueries
) -> None:
    """All connections of a user are closed with 4009, on every edge, and nobody else's."""
    windows = await crowd.connect_each(["ada", "ada", "ada"], cluster.edges)
    other = await crowd.connect("bob", cluster.edges[0])
    for member in (*windows, other):
        await member.sign_in()
    ended = await queries.terminate(cluster.application.app_id, "ada")

    assert Count(3, complete=True) == ended
    await eventually(lambda: not any(window.connected for window in windows), 5.0)
    assert [[4009]] * 3 == [[closed.code for closed in window.closes] for window in windows]
    assert other.connected


async def test_subscribers_are_told_how_many_they_are(
    cluster: Cluster, crowd: Crowd, channel: str
) -> None:
    """Whoever comes, goes or dies with an edge: the others learn the number on all edges."""
    name = f"private-{channel}"
    members = await crowd.connect_each(["ada", "bob", "carol"], cluster.edges)
    for number, member in enumerate(members, 1):
        await member.join(name)
        for told in members[:number]:
            await eventually(lambda told=told, n=number: last_count(told, name) == n, 5.0)  # type: ignore[misc]
    await members[0].leave(name)
    for told in members[1:]:
        await eventually(lambda told=told: last_count(told, name) == 2, 5.0)  # type: ignore[misc]
    cluster.edges[2].kill()
    await eventually(lambda: last_count(members[1], name) == 1, 10.0)


def test_pusher_js_watches_users(cluster: Cluster, connect_pusher: ConnectPusher) -> None:
    """pusher-js is told who is online, who comes and who goes, on whatever edge."""
    one, two, three = cluster.edges
    there = connect_pusher(two, "bob")
    there.sign_in()
    watcher = connect_pusher(one, "ada", watchlist="bob,carol")
    watcher.sign_in()
    assert ["bob"] == watcher.take("online", "watchlist").data["user_ids"]
    assert ["carol"] == watcher.take("offline", "watchlist").data["user_ids"]
    carol, tab = connect_pusher(three, "carol"), connect_pusher(two, "carol")
    carol.sign_in()
    assert ["carol"] == watcher.take("online", "watchlist").data["user_ids"]
    tab.sign_in()
    carol.order("disconnect")
    there.order("disconnect")

    assert ["bob"] == watcher.take("offline", "watchlist").data["user_ids"]
    assert [] == watcher.events("watchlist")
    tab.order("disconnect")
    assert ["carol"] == watcher.take("offline", "watchlist").data["user_ids"]
