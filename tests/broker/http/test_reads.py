import asyncio

import pytest

from tests.broker.http.conftest import Cluster
from tests.broker.http.helpers import CHANNELS, EVENTS, Backend, trigger
from tests.edge.helpers import Client


async def test_channels(cluster: Cluster) -> None:
    """Only occupied channels are listed, those of signed-in users are not, and prefixes filter."""
    one, two = cluster.edges
    async with Client(one.url()) as first, Client(two.url()) as second:
        for client, user in ((first, "1"), (second, "2")):
            await client.subscribe("news")
            await client.subscribe("presence-a", user)
        await first.expect("pusher_internal:member_added")
        await second.subscribe("presence-b", "2")
        await first.signin('{"id":"1"}')
        await first.expect("pusher:signin_success")
        await first.send("pusher:subscribe", {"channel": "#server-to-user-1", "auth": ""})
        await first.expect("pusher_internal:subscription_succeeded")
        backend = cluster.backend
        plain = await backend.get(CHANNELS)
        users = await backend.get(CHANNELS, {"filter_by_prefix": "presence-", "info": "user_count"})
        narrow = await backend.get(CHANNELS, {"filter_by_prefix": "presence-b"})
        counts = await backend.get(CHANNELS, {"info": "subscription_count"})
        none = await backend.get(CHANNELS, {"filter_by_prefix": "x", "info": ""})

    assert (200, {"channels": {"news": {}, "presence-a": {}, "presence-b": {}}}) == (
        plain.status,
        plain.body,
    )
    assert {"channels": {"presence-a": {"user_count": 2}, "presence-b": {"user_count": 1}}} == (
        users.body
    )
    assert {"channels": {"presence-b": {}}} == narrow.body
    assert {"subscription_count": 2} == counts.body["channels"]["news"]
    assert {"channels": {}} == none.body
    assert "X-Pogo-Incomplete" not in plain.headers


async def test_one_channel(cluster: Cluster) -> None:
    """`occupied` is always told, and a channel that nobody has is not occupied."""
    one, two = cluster.edges
    async with Client(one.url()) as first, Client(two.url()) as second:
        for client, user in ((first, "1"), (second, "1")):
            await client.subscribe("news")
            await client.subscribe("presence-a", user)
        backend = cluster.backend
        plain = await backend.get(f"{CHANNELS}/news")
        counted = await backend.get(f"{CHANNELS}/news", {"info": "subscription_count"})
        users = await backend.get(f"{CHANNELS}/presence-a", {"info": "user_count"})
    nobody = await cluster.backend.get(f"{CHANNELS}/nobody", {"info": "subscription_count"})

    assert (200, {"occupied": True}) == (plain.status, plain.body)
    assert {"occupied": True, "subscription_count": 2} == counted.body
    assert {"occupied": True, "user_count": 1} == users.body
    assert (200, {"occupied": False, "subscription_count": 0}) == (nobody.status, nobody.body)


async def test_what_a_channel_remembers(cluster: Cluster) -> None:
    """`cache` is the data of the last event and the seconds that are left; else it is null."""
    path = f"{CHANNELS}/private-cache-a"
    before = await cluster.backend.get(path, {"info": "cache"})
    for data in ("first", "last"):
        await cluster.backend.post(EVENTS, trigger(channels=["private-cache-a"], data=data))
    after = await cluster.backend.get(path, {"info": "cache,subscription_count"})
    plain = await cluster.backend.get(path)

    assert (200, {"occupied": False, "cache": None}) == (before.status, before.body)
    assert "last" == after.body["cache"]["data"]
    assert 1795 <= after.body["cache"]["ttl"] <= 1800
    assert {"occupied", "cache", "subscription_count"} == set(after.body)
    assert {"occupied": False} == plain.body


async def test_users(cluster: Cluster) -> None:
    """The ids of a presence channel, each once; none where nobody is."""
    one, two = cluster.edges
    async with Client(one.url()) as first, Client(two.url()) as second, Client(one.url()) as tab:
        await first.subscribe("presence-a", "1")
        await second.subscribe("presence-a", "2")
        await tab.subscribe("presence-a", "2")
        found = await cluster.backend.get(f"{CHANNELS}/presence-a/users")
        nobody = await cluster.backend.get(f"{CHANNELS}/presence-b/users")

    assert (200, {"users": [{"id": "1"}, {"id": "2"}]}) == (found.status, found.body)
    assert (200, {"users": []}) == (nobody.status, nobody.body)


async def test_connections_and_their_end(cluster: Cluster) -> None:
    """A user's connections are closed on every edge, and nobody else's."""
    one, two = cluster.edges
    async with Client(one.url()) as first, Client(two.url()) as tab, Client(two.url()) as other:
        for client, user in ((first, "ada"), (tab, "ada"), (other, "bob")):
            await client.signin(f'{{"id":"{user}"}}')
            await client.expect("pusher:signin_success")
        before = await cluster.backend.get("/apps/shop/connections")
        done = await cluster.backend.post("/apps/shop/users/ada/terminate_connections", {})
        codes = [(await client.closed())[0] for client in (first, tab)]
        after = await cluster.backend.get("/apps/shop/connections")
        nobody = await cluster.backend.post("/apps/shop/users/eve/terminate_connections", b"")

    assert (200, {"connections": 3}) == (before.status, before.body)
    assert (200, {}) == (done.status, done.body)
    assert [4009, 4009] == codes
    assert {"connections": 1} == after.body
    assert (200, {}) == (nobody.status, nobody.body)


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        ("", {"info": "user_count"}, "user_count needs a filter_by_prefix"),
        ("", {"info": "user_count", "filter_by_prefix": "presence"}, "user_count needs"),
        ("", {"info": "user_count", "filter_by_prefix": "private-"}, "user_count needs"),
        ("", {"info": "subscription_count", "filter_by_prefix": "presence-"}, "presence channels"),
        ("", {"info": "cache"}, "info has 'cache'"),
        ("", {"info": "nonsense"}, "info has 'nonsense'"),
        ("", {"info": ","}, "info has ''"),
        ("/news", {"info": "user_count"}, "only presence channels have a user_count"),
        ("/presence-a", {"info": "subscription_count"}, "a presence channel has a user_count"),
        ("/news", {"info": "cache"}, "only cache channels have a cache"),
        ("/private-cached", {"info": "cache"}, "only cache channels have a cache"),
        ("/news", {"info": "occupied"}, "info has 'occupied'"),
        ("/a%20b", {}, "a channel name is made of"),
        (f"/{'a' * 201}", {}, "a channel name has at most 200"),
        ("/news/users", {}, "only presence channels have users"),
        ("/presence/users", {}, "only presence channels have users"),
        ("/presence-%20/users", {}, "a channel name is made of"),
    ],
)
async def test_what_cannot_be_asked_is_400(
    backend: Backend, path: str, query: dict[str, str], error: str
) -> None:
    """A sentence says what is wrong."""
    reply = await backend.get(CHANNELS + path, query)

    assert 400 == reply.status
    assert reply.body["error"].startswith(error)


@pytest.mark.parametrize("user", ["u" * 201, "%00", "a%0Ab"])
async def test_users_that_nobody_can_be(backend: Backend, user: str) -> None:
    """An id that no user can have is 400."""
    reply = await backend.post(f"/apps/shop/users/{user}/terminate_connections", {})

    assert (400, "a user's id has at most 200 characters, all printable") == reply.error


async def test_an_edge_that_does_not_answer(backend: Backend) -> None:
    """Reads are answered with what is known and a header; ending connections is not done: 503."""
    channels, channel, users, connections, ended = await asyncio.gather(
        backend.get(CHANNELS),
        backend.get(f"{CHANNELS}/news", {"info": "subscription_count"}),
        backend.get(f"{CHANNELS}/presence-a/users"),
        backend.get("/apps/shop/connections"),
        backend.post("/apps/shop/users/ada/terminate_connections", {}),
    )
    reads = (channels, channel, users, connections)

    assert [(200, "true")] * 4 == [(r.status, r.headers["X-Pogo-Incomplete"]) for r in reads]
    assert {"occupied": False, "subscription_count": 0} == channel.body
    assert (503, "not all edges have answered: some connections may be left") == ended.error
    assert "1" == ended.headers["Retry-After"]
