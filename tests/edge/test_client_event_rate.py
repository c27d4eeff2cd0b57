"""How many client events the clients of an app may send, all of them together."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from pogo.settings import App
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge, two_edges
from tests.pusher.forgeries import Signer

CHANNEL = "private-a"
SLOW = 0.06
"""Events a second: no test takes as long as the second one of a bucket would."""


def app(rate: float, **fields: object) -> dict[str, object]:
    """Describe an app with a rate."""
    return {"id": APP, "key": KEY, "secret": SECRET, "total_client_event_rate": rate, **fields}


async def send(client: Client, count: int) -> None:
    """Send so many client events."""
    for number in range(count):
        await client.send("client-x", {"n": number}, channel=CHANNEL)


async def passed(client: Client) -> tuple[int, list[int]]:
    """Count what a client is told until all it has sent is dealt with: events, and error codes."""
    await client.send("pusher:ping", {})
    events, codes = 0, []
    while (message := await client.receive())["event"] != "pusher:pong":
        if message["event"] == "pusher:error":
            codes.append(message["data"]["code"])
        else:
            assert "client-x" == message["event"]
            events += 1
    return events, codes


@pytest.fixture(name="edge")
async def _edge() -> AsyncIterator[Edge]:
    async with running_edge(apps=[app(3 + SLOW)], client_event_rate=-1, message_rate=-1) as edge:
        yield edge


async def test_over_the_rate(edge: Edge) -> None:
    """The sender is told 4301 and stays connected; nobody gets what was over the rate."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe(CHANNEL)
        await two.subscribe(CHANNEL)
        started = asyncio.get_running_loop().time()
        await send(one, 20)
        events, codes = await passed(one)
        elapsed = asyncio.get_running_loop().time() - started
        received, no_codes = await passed(two)

        assert 0 == events
        assert {4301} == set(codes)
        assert 20 - len(codes) == received
        assert 3 <= received <= 3 + (3 + SLOW) * elapsed + 1
        assert [] == no_codes
        refused = edge.metric("client_events_rate_limited_total")
        assert float(len(codes)) == refused == edge.metric("errors_total", code="4301")


async def test_all_clients_together() -> None:
    """What one client has used up, another one does not have."""
    async with (
        running_edge(apps=[app(SLOW)]) as edge,
        Client(edge.url()) as one,
        Client(edge.url()) as two,
    ):
        await one.subscribe(CHANNEL)
        await two.subscribe(CHANNEL)
        await send(one, 1)
        assert (0, []) == await passed(one)
        await send(two, 1)

        assert (1, [4301]) == await passed(two)
        assert (0, []) == await passed(one)


async def test_a_reload_changes_the_rate(edge: Edge) -> None:
    """It is taken away, and set again, for those who are connected."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe(CHANNEL)
        await two.subscribe(CHANNEL)
        edge.server.replace_apps([App.model_validate(app(-1))])
        await send(one, 50)
        assert (0, []) == await passed(one)
        assert (50, []) == await passed(two)
        edge.server.replace_apps([App.model_validate(app(SLOW))])
        await send(one, 3)

        assert (0, [4301, 4301]) == await passed(one)
        assert (1, []) == await passed(two)
        edge.server.replace_apps([App.model_validate(app(2 * SLOW))])
        await send(one, 2)

        assert (0, [4301]) == await passed(one)
        assert (1, []) == await passed(two)


async def let_through(edge: Edge, key: str) -> tuple[int, float]:
    """Send thirty client events; returns how many were let through, and in how many seconds."""
    async with Client(edge.url(key)) as client:
        signer = Signer(key, SECRET.encode(), client.socket_id)
        await client.send("pusher:subscribe", signer.request(CHANNEL))
        await client.expect("pusher_internal:subscription_succeeded")
        started = asyncio.get_running_loop().time()
        await send(client, 30)
        _, codes = await passed(client)
        return 30 - len(codes), asyncio.get_running_loop().time() - started


async def test_edges_share_it_out() -> None:
    """Each of two edges allows half; the one that stays allows all."""
    apps = [app(10), app(10, id="fresh", key="fresh")]
    async with two_edges(apps=apps, client_event_rate=-1, message_rate=-1) as (one, two):
        await eventually(lambda: all(edge.metric("cluster_edges") == 2 for edge in (one, two)))
        for edge in (one, two):
            count, elapsed = await let_through(edge, KEY)
            assert 5 <= count <= 5 + 5 * elapsed + 1

        await two.server.stop()
        await eventually(lambda: one.metric("cluster_edges") == 1)
        count, elapsed = await let_through(one, "fresh")
        assert 10 <= count <= 10 + 10 * elapsed + 1
