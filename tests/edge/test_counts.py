import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from pogo.edge.counts import Pace
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, Keys, eventually, two_edges

COUNT = "pusher_internal:subscription_count"


@pytest.fixture(name="edges")
async def _edges() -> AsyncIterator[tuple[Edge, Edge]]:
    app = {"id": APP, "key": KEY, "secret": SECRET, "subscription_count": True}
    async with two_edges(apps=[app]) as edges:
        yield edges


async def _until_told(client: Client, count: int) -> None:
    """Wait until a client is told a count; on the way there it may be told others."""
    while True:
        told = json.loads((await client.expect(COUNT))["data"])["subscription_count"]
        if told == count:
            return


async def test_everyone_is_told_the_sum_of_all_edges(edges: tuple[Edge, Edge]) -> None:
    """Subscribers of both edges learn how many there are, whoever comes or goes."""
    one, two = edges
    async with Client(one.url()) as first:
        await first.subscribe("news")
        await _until_told(first, 1)
        async with Client(two.url()) as second, Client(two.url()) as third:
            await second.subscribe("news")
            await _until_told(first, 2)
            await _until_told(second, 2)
            await third.subscribe("news")
            await _until_told(first, 3)
            await _until_told(third, 3)
            await third.send("pusher:unsubscribe", {"channel": "news"})
            await _until_told(first, 2)
        await _until_told(first, 1)


async def test_presence_channels_are_not_counted(edges: tuple[Edge, Edge]) -> None:
    """There, members are what is told."""
    async with Client(edges[0].url()) as client:
        await client.subscribe("presence-a", "1")
        await client.silent()


async def test_nothing_is_left_behind(edges: tuple[Edge, Edge]) -> None:
    """A channel without subscribers has no count in the registry."""
    one, _ = edges
    counts = Keys()
    await one.registry.watch("c", counts)
    async with Client(one.url()) as client:
        await client.subscribe("news")
        await _until_told(client, 1)

        assert 1 == len(counts.keys)
    await eventually(lambda: not counts.keys)


async def test_pace() -> None:
    """What is asked for often is done at once, and then after the interval; hurry does it now."""
    loop = asyncio.get_running_loop()
    done: list[float] = []
    pace = Pace(0.2, lambda: done.append(loop.time()))
    for _ in range(10):
        pace.ask()
    await eventually(lambda: len(done) == 2)

    assert done[1] - done[0] >= 0.19
    pace.ask()
    pace.hurry()
    assert 3 == len(done)
    pace.ask()
    pace.cancel()
    await asyncio.sleep(0.3)
    assert 3 == len(done)


async def test_the_first_subscriber_is_told_however_slow_the_bus_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A count that is known before the channel has its subscription is told afterwards."""
    app = {"id": APP, "key": KEY, "secret": SECRET, "subscription_count": True}
    async with two_edges(apps=[app]) as (one, _):
        counts = Keys()
        await one.registry.watch("c", counts)
        flushed = asyncio.Event()
        monkeypatch.setattr(one.bus, "flush", flushed.wait)
        async with Client(one.url()) as client:
            await client.ask("news")
            await eventually(lambda: bool(counts.keys))
            flushed.set()
            await client.expect("pusher_internal:subscription_succeeded")
            await _until_told(client, 1)
