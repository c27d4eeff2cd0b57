"""What passes between edges: members to pusher-js, client events, and what is published."""

from collections.abc import Sequence
from functools import partial

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import ConnectPusher
from tests.cluster.crowd import Crowd, join_all
from tests.cluster.waiting import until
from tests.e2e.clients import PusherClient

FENCE = "fence"


def members_of(client: PusherClient, channel: str) -> tuple[int, dict[str, object]]:
    """Ask pusher-js how many members there are, and which."""
    members = client.order("members", channel=channel)
    return members["count"], members["members"]


def connect_each(
    connect: ConnectPusher, users: Sequence[str], cluster: Cluster
) -> list[PusherClient]:
    """Connect a pusher-js client to each edge."""
    return [connect(edge, user) for user, edge in zip(users, cluster.edges, strict=True)]


def test_pusher_js_knows_everyone(
    cluster: Cluster, connect_pusher: ConnectPusher, channel: str
) -> None:
    """pusher-js has the same members on each of three edges, whoever comes and goes."""
    users = ["ada", "bob", "carol"]
    clients = connect_each(connect_pusher, users, cluster)
    for client in clients:
        client.join(channel)
    everyone = {user: {"name": user.title()} for user in users}
    for client in clients:
        until((3, everyone), partial(members_of, client, channel), 5.0)
    clients[0].order("disconnect")

    del everyone["ada"]
    for client in clients[1:]:
        until((2, everyone), partial(members_of, client, channel), 5.0)
        assert 1 == client.events(channel).count("pusher:member_removed")


def test_client_event_crosses_edges(
    cluster: Cluster, connect_pusher: ConnectPusher, channel: str
) -> None:
    """A client event reaches those on the other edges once, and not its sender."""
    clients = connect_each(connect_pusher, ["ada", "bob", "carol"], cluster)
    for client in clients:
        client.join(channel, client_events=["client-typing"])
    sender, *others = clients
    sender.trigger(channel, "client-typing", {"key": "ö"})
    for other in others:
        report = other.take("client-typing", channel)
        assert ({"key": "ö"}, "ada") == (report.data, report.user_id)
    assert 0 == cluster.publish(channel, FENCE, {})

    for client in clients:
        client.take(FENCE, channel)
        assert "client-typing" not in client.events(channel)


def test_signed_in_user_is_reached_everywhere(
    cluster: Cluster, connect_pusher: ConnectPusher
) -> None:
    """What is for a user reaches all of the user's connections on all edges, and nobody else."""
    windows = connect_each(connect_pusher, ["ada", "ada", "ada"], cluster)
    other = connect_pusher(cluster.edges[1], "bob")
    for client in (*windows, other):
        client.sign_in()
    assert 0 == cluster.publish("#server-to-user-ada", "note", {"text": "yours"})
    assert 0 == cluster.publish("#server-to-user-bob", FENCE, {})

    for window in windows:
        assert {"text": "yours"} == window.take("note", "user").data
    other.take(FENCE, "user")
    assert [] == other.events("user")


async def test_excluded_connection_on_another_edge(
    cluster: Cluster, crowd: Crowd, channel: str
) -> None:
    """An event reaches everyone on all edges but the one connection that it excludes."""
    members = await crowd.connect_each(["ada", "bob", "carol"], cluster.edges)
    tab = await crowd.connect("ada", cluster.edges[0])
    everyone = [*members, tab]
    await join_all(channel, everyone)
    excluded = members[0]
    assert 0 == cluster.publish(channel, "moved", 1, socket_id=excluded.socket_id)
    assert 0 == cluster.publish(channel, FENCE, 2)
    for member in everyone:
        await member.hears(channel, FENCE)

    assert [[], [1], [1], [1]] == [member.heard(channel, "moved") for member in everyone]
