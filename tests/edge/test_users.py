import json
from collections.abc import AsyncIterator

import pytest

from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, Keys, two_edges

EVENTS = "pusher_internal:watchlist_events"


@pytest.fixture(name="edges")
async def _edges() -> AsyncIterator[tuple[Edge, Edge]]:
    app = {"id": APP, "key": KEY, "secret": SECRET, "watchlist": True}
    async with two_edges(apps=[app]) as edges:
        yield edges


async def _sign_in(client: Client, user_id: str, watchlist: list[str] | None = None) -> None:
    await client.signin(json.dumps({"id": user_id, "watchlist": watchlist or []}))
    await client.expect("pusher:signin_success")


async def _told(client: Client) -> dict[str, list[str]]:
    """Return who came online and who went offline."""
    events = json.loads((await client.expect(EVENTS))["data"])["events"]
    return {event["name"]: event["user_ids"] for event in events}


async def test_watched_users(edges: tuple[Edge, Edge]) -> None:
    """First how things stand, then each first sign-in and each last end, on any edge."""
    one, two = edges
    async with Client(one.url()) as watcher, Client(two.url()) as there:
        await _sign_in(there, "b")
        await _sign_in(watcher, "a", ["a", "b", "c"])

        assert {"online": ["a", "b"], "offline": ["c"]} == await _told(watcher)
        async with Client(two.url()) as third, Client(one.url()) as tab:
            await _sign_in(third, "c")
            assert {"online": ["c"]} == await _told(watcher)
            await _sign_in(tab, "c")
        assert {"offline": ["c"]} == await _told(watcher)
        await watcher.silent()


async def test_too_long_a_watchlist(edges: tuple[Edge, Edge]) -> None:
    """The sign-in succeeds, the first hundred are watched, and 4302 says so as an event."""
    ids = [f"u{number}" for number in range(101)]
    async with Client(edges[0].url()) as client:
        await _sign_in(client, "a", ids)
        error = await client.expect("pusher:error")

        assert 4302 == error["data"]["code"]
        assert {"offline": ids[:100]} == await _told(client)
        await client.silent()


async def test_without_the_setting() -> None:
    """An app without watchlists tells nothing and writes nothing."""
    async with two_edges() as (one, _), Client(one.url()) as client:
        await _sign_in(client, "a", ["a"])
        await client.silent()

        users = Keys()
        await one.registry.watch("u", users)
        assert [] == users.keys
