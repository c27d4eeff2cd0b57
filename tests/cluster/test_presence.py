"""Who is on a presence channel: the same on every edge, whichever edge they are connected to."""

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd, all_know, fence, join_all
from tests.cluster.members import RefusedError

LIMIT_REACHED = ("LimitReached", 413)


async def test_user_comes_and_goes_once(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A user with tabs on two edges is added once and removed once, as every edge sees it."""
    watchers = await crowd.connect_each(["w-0", "w-1", "w-2"], cluster.edges)
    first, second = await crowd.connect_each(["ada", "ada"], cluster.edges[:2])
    await join_all(channel, watchers)
    others = {watcher.user_id for watcher in watchers}
    await all_know(others, channel, watchers)

    await first.join(channel)
    await all_know({*others, "ada"}, channel, watchers)
    await second.join(channel)
    await first.close()
    await fence(crowd, channel, cluster.edges[2], watchers)
    assert [["added"]] * 3 == [watcher.changes(channel, "ada") for watcher in watchers]

    await second.close()
    await all_know(others, channel, watchers)
    await fence(crowd, channel, cluster.edges[2], watchers)
    assert [["added", "removed"]] * 3 == [watcher.changes(channel, "ada") for watcher in watchers]


async def test_tab_is_no_member(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A user's own tabs are told of nobody's coming when another of them joins or leaves."""
    tabs = await crowd.connect_each(["ada", "ada", "ada"], cluster.edges)
    await join_all(channel, tabs)
    await tabs[2].leave(channel)
    await fence(crowd, channel, cluster.edges[2], tabs[:2])

    assert [[], []] == [tab.changes(channel, "ada") for tab in tabs[:2]]


async def test_rosters_are_the_same(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """Every edge gives the same members with the same data, for numbers and for words as ids."""
    users: list[str | int] = [7, "8", "ada", "bob@example.com", "Ælfrēd", 2**40]
    members = await crowd.connect_each(users, cluster.edges * 2)
    await join_all(channel, members)
    everyone = {str(user): {"name": str(user).title()} for user in users}
    await all_know(set(everyone), channel, members)
    late = await crowd.connect_each(users[:3], cluster.edges)
    await join_all(channel, late)

    rosters = [member.rosters[channel] for member in (*members, *late)]
    assert [everyone] * 9 == [roster.members for roster in rosters]
    assert [6] * 9 == [roster.count for roster in rosters]


async def test_number_and_word_are_one_user(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A user whose id is a number at one edge and a word at another is one user."""
    watcher = await crowd.connect("watcher", cluster.edges[0])
    await watcher.join(channel)
    number, word = await crowd.connect_each([7, "7"], cluster.edges[1:])
    await number.join(channel)
    await word.join(channel)
    await number.close()
    await fence(crowd, channel, cluster.edges[2], [watcher])

    assert ["added"] == watcher.changes(channel, "7")
    assert {"watcher", "7"} == word.ids(channel)


async def test_member_by_sign_in(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """Who signed in joins without data of its own, and is seen at the other edges."""
    watchers = await crowd.connect_each(["w-0", "w-2"], [cluster.edges[0], cluster.edges[2]])
    await join_all(channel, watchers)
    ada = await crowd.connect("ada", cluster.edges[1])
    await ada.sign_in()
    await ada.join(channel, with_data=False)

    await all_know({"w-0", "w-2", "ada"}, channel, [*watchers, ada])
    info = {"name": "Ada"}
    assert [info] * 2 == [watcher.rosters[channel].members["ada"] for watcher in watchers]


async def test_one_connection_is_one_user(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A connection that is signed in cannot sign in as somebody else, and stays who it was."""
    ada = await crowd.connect("ada", cluster.edges[0])
    await ada.sign_in()
    await ada.send_signin("bob")
    roster = await ada.join(channel, with_data=False)

    assert [4009] == [error["code"] for error in ada.errors]
    assert {"ada"} == roster.ids


async def test_channel_is_full(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """The limit of a channel's members holds over all edges, and counts users, not connections."""
    here = await cluster.add_edge(POGO_MAX_PRESENCE_MEMBERS="3")
    there = await cluster.add_edge(POGO_MAX_PRESENCE_MEMBERS="3")
    inside = await crowd.connect_each(["ada", "bob", "carol"], [here, there, here])
    await join_all(channel, inside)
    await all_know({"ada", "bob", "carol"}, channel, inside)
    tab, dave = await crowd.connect_each(["ada", "dave"], [there, there])
    await tab.join(channel)
    with pytest.raises(RefusedError) as refused:
        await dave.join(channel)

    assert LIMIT_REACHED == (refused.value.data["type"], refused.value.data["status"])
    assert [None] == [error["code"] for error in dave.errors]
    await inside[2].leave(channel)
    await all_know({"ada", "bob"}, channel, inside[:2])
    assert [[], []] == [member.changes(channel, "dave") for member in inside[:2]]
    await dave.join(channel)
    await all_know({"ada", "bob", "dave"}, channel, [*inside[:2], tab, dave])


async def test_member_knows_too_much(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A member with more than 2 KB of data is refused, and nobody hears of it."""
    watcher = await crowd.connect("watcher", cluster.edges[0])
    await watcher.join(channel)
    slim = await crowd.connect("slim", cluster.edges[1], info="x" * 1900)
    stout = await crowd.connect("stout", cluster.edges[1], info="x" * 2100)
    await slim.join(channel)
    with pytest.raises(RefusedError) as refused:
        await stout.join(channel)

    assert LIMIT_REACHED == (refused.value.data["type"], refused.value.data["status"])
    assert [None] == [error["code"] for error in stout.errors]
    await fence(crowd, channel, cluster.edges[1], [watcher])
    assert {"watcher", "slim"} == watcher.ids(channel)
    assert [] == watcher.changes(channel, "stout")
