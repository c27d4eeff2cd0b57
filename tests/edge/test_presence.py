import json
from collections.abc import AsyncIterator

import pytest

from pogo.registry.keys import NODES
from tests.edge.helpers import Client, Edge, Keys, eventually, running_edge


@pytest.fixture(name="edge")
async def _edge() -> AsyncIterator[Edge]:
    async with running_edge() as edge:
        yield edge


def _member(message: dict[str, str]) -> dict[str, object]:
    member: dict[str, object] = json.loads(message["data"])
    return member


async def test_roster_and_transitions(edge: Edge) -> None:
    """Whoever joins learns who is there; the others learn who came and who went."""
    async with Client(edge.url()) as one:
        assert {"presence": {"ids": ["1"], "hash": {"1": None}, "count": 1}} == (
            await one.subscribe("presence-a", "1")
        )
        async with Client(edge.url()) as two:
            roster = (await two.subscribe("presence-a", "2"))["presence"]
            added = await one.expect("pusher_internal:member_added")

            assert (["1", "2"], 2) == (sorted(roster["ids"]), roster["count"])
            assert {"user_id": "2", "user_info": None} == _member(added)
            await two.silent()
        removed = await one.expect("pusher_internal:member_removed")
        assert {"user_id": "2"} == _member(removed)


async def test_a_user_with_two_connections(edge: Edge) -> None:
    """Only the first connection joins, and only the last leaves."""
    async with Client(edge.url()) as watcher:
        await watcher.subscribe("presence-a", "w")
        async with Client(edge.url()) as one:
            await one.subscribe("presence-a", "1")
            await watcher.expect("pusher_internal:member_added")
            async with Client(edge.url()) as two:
                roster = await two.subscribe("presence-a", "1")
                assert 2 == roster["presence"]["count"]
                await watcher.silent()
            await watcher.silent()
        await watcher.expect("pusher_internal:member_removed")


async def test_unsubscribing_leaves(edge: Edge) -> None:
    """A member may leave and stay connected, and come back."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe("presence-a", "1")
        await two.subscribe("presence-a", "2")
        await one.expect("pusher_internal:member_added")
        await two.send("pusher:unsubscribe", {"channel": "presence-a"})
        await one.expect("pusher_internal:member_removed")
        await two.subscribe("presence-a", "2")
        await one.expect("pusher_internal:member_added")
        await two.silent()


async def test_numeric_user_ids(edge: Edge) -> None:
    """A number becomes the same string everywhere, and information passes untouched."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe("presence-a", "1")
        await two.ask("presence-a", '{"user_id":10,"user_info":{"name":"Ü"}}')
        answer = await two.expect("pusher_internal:subscription_succeeded")
        added = await one.expect("pusher_internal:member_added")

        assert {"name": "Ü"} == json.loads(answer["data"])["presence"]["hash"]["10"]
        assert {"user_id": "10", "user_info": {"name": "Ü"}} == _member(added)


async def test_presence_by_signin(edge: Edge) -> None:
    """A signed-in user is a member without channel_data."""
    async with Client(edge.url()) as client:
        await client.signin('{"id":"7","user_info":{"n":1}}')
        await client.expect("pusher:signin_success")
        await client.ask("presence-a")
        answer = await client.expect("pusher_internal:subscription_succeeded")

        assert {"7": {"n": 1}} == json.loads(answer["data"])["presence"]["hash"]


async def test_a_full_channel() -> None:
    """One member too many is refused, until there is a place; a member's second tab is none."""
    async with running_edge(max_presence_members=2) as edge, Client(edge.url()) as one:
        await one.subscribe("presence-a", "1")
        async with Client(edge.url()) as two, Client(edge.url()) as three:
            await two.subscribe("presence-a", "2")
            await three.ask("presence-a", '{"user_id":"3"}')
            error = await three.expect("pusher:error")
            refused = await three.expect("pusher:subscription_error")

            assert "2 members" in error["data"]["message"]
            assert "LimitReached" == refused["data"]["type"]
            async with Client(edge.url()) as tab:
                await tab.subscribe("presence-a", "2")
            await two.send("pusher:unsubscribe", {"channel": "presence-a"})
            await one.expect("pusher_internal:member_added")
            await one.expect("pusher_internal:member_removed")
            await three.subscribe("presence-a", "3")
            await one.expect("pusher_internal:member_added")


async def test_nothing_is_left_behind(edge: Edge) -> None:
    """When all have gone, the registry holds nothing but the edge itself."""
    for _ in range(3):
        async with Client(edge.url()) as one, Client(edge.url()) as two:
            await one.subscribe("presence-a", "1")
            await two.subscribe("presence-a", "2")
    async with Client(edge.url()) as last:
        roster = await last.subscribe("presence-a", "3")

        assert ["3"] == roster["presence"]["ids"]
    await eventually(lambda: not edge.metric("connections_active"))
    entries = Keys()
    watch = await edge.registry.watch("p", entries)
    watch.stop()

    assert [] == entries.keys


async def test_the_edge_is_in_the_registry() -> None:
    """A live edge is known to the cluster, and a stopped one is not."""
    async with running_edge() as edge:
        entries = Keys()
        watch = await edge.registry.watch(NODES, entries)
        await eventually(lambda: bool(entries.keys))
    watch.stop()

    assert [] == entries.keys


async def test_coming_back_as_somebody_else(edge: Edge) -> None:
    """A connection that leaves and joins as another user in one breath is that user."""
    async with Client(edge.url()) as client:
        await client.subscribe("presence-a", "1")
        await client.send("pusher:unsubscribe", {"channel": "presence-a"})
        roster = await client.subscribe("presence-a", "2")

        assert ["2"] == roster["presence"]["ids"]
