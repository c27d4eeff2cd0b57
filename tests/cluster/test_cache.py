"""Cache channels across nodes, each with connections of its own to one real server."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pogo.broker.events import Event
from pogo.bus import Bus
from pogo.cli.buses import open_bus, open_cache, open_registry
from pogo.records import Record, Records, RecordsError, Write
from pogo.records.nats import NatsRecords
from pogo.registry import Registry
from pogo.settings import App, Settings
from tests.broker.helpers import RunningBroker, make_settings, running_broker
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge
from tests.servers import NatsServer, RedisServer

EVENT = "price"
MISS = "pusher:cache_miss"
SUCCEEDED = "pusher_internal:subscription_succeeded"
APPS = (App(id=APP, key=KEY, secret=SecretStr(SECRET)),)


@dataclass(frozen=True)
class Place:
    """Where the nodes of a cluster meet."""

    server: NatsServer | RedisServer

    @property
    def settings(self) -> Settings:
        """How nodes get there."""
        if isinstance(self.server, NatsServer):
            return make_settings(apps=APPS, bus="nats", nats_url=[self.server.url])
        return make_settings(apps=APPS, bus="redis", redis_port=self.server.port)

    @contextlib.asynccontextmanager
    async def connections(
        self, open_records: Callable[[Settings], Records] = open_cache
    ) -> AsyncIterator[tuple[Bus, Registry, Records]]:
        """Open the connections of one node."""
        bus, registry = open_bus(self.settings), open_registry(self.settings)
        cache = open_records(self.settings)
        async with contextlib.AsyncExitStack() as stack:
            for each in (bus, registry, cache):
                stack.push_async_callback(each.close)
                await each.start()
            yield bus, registry, cache

    @contextlib.asynccontextmanager
    async def edge(
        self, open_records: Callable[[Settings], Records] = open_cache
    ) -> AsyncIterator[Edge]:
        """Run an edge."""
        async with self.connections(open_records) as (bus, registry, cache):
            options: dict[str, Any] = {"message_rate": -1, "shutdown_timeout": "1s"}
            async with running_edge(bus, registry=registry, cache=cache, **options) as edge:
                yield edge

    @contextlib.asynccontextmanager
    async def broker(
        self, open_records: Callable[[Settings], Records] = open_cache
    ) -> AsyncIterator[RunningBroker]:
        """Run a broker."""
        async with (
            self.connections(open_records) as (bus, registry, cache),
            running_broker(bus, self.settings, registry=registry, cache=cache) as broker,
        ):
            yield broker


@pytest.fixture(name="place", params=[NatsServer, RedisServer], ids=["nats", "redis"])
async def _place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with request.param(tmp_path / "server") as server:
        yield Place(server)


async def publish(broker: RunningBroker, *data: str, channels: Sequence[str]) -> list[int]:
    """Publish events; returns their codes."""
    events = [Event(APP, channels, EVENT, each) for each in data]
    outcomes = await broker.server.publisher.publish(events, json_data=True)
    return [int(outcome.status) for outcome in outcomes]


async def begin(client: Client, channel: str, data: str | None) -> None:
    """Subscribe, and begin with an event; with a miss where there is none."""
    await client.subscribe(channel, client.socket_id if channel.startswith("presence-") else None)
    if data is None:
        expected = {"event": MISS, "channel": channel, "data": "{}"}
    else:
        expected = {"event": EVENT, "channel": channel, "data": data}

    assert expected == await client.receive()


@pytest.mark.parametrize(
    "channel", ["cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a"]
)
async def test_every_edge_remembers(place: Place, channel: str) -> None:
    """An event is what clients of any edge begin with, also of an edge that came later."""
    data = '{"nonce":"AA==","ciphertext":"ö"}'
    async with place.broker() as broker, place.edge() as one:
        async with Client(one.url()) as client:
            await begin(client, channel, None)
            assert [0] == await publish(broker, data, channels=[channel])
            assert data == (await client.expect(EVENT))["data"]
        async with place.edge() as two, Client(two.url()) as other:
            await begin(other, channel, data)
            async with Client(one.url()) as third:
                await begin(third, channel, data)
                if channel.startswith("presence-"):
                    await other.expect("pusher_internal:member_added")
                assert [0] == await publish(broker, "2", channels=[channel])
                await other.expect(EVENT)
                await third.expect(EVENT)
                await other.silent()
                await third.silent()
    # And of one that was restarted, when nobody has listened for a while.
    async with place.edge() as again, Client(again.url()) as client:
        await begin(client, channel, "2")


async def test_one_event_on_several_channels(place: Place) -> None:
    """Each cache channel among them remembers it."""
    channels = ["cache-a", "news", "private-cache-b", "presence-cache-c"]
    async with place.edge() as edge, place.broker() as broker, Client(edge.url()) as client:
        await client.subscribe("news")
        assert [0] == await publish(broker, "1", channels=channels)
        await client.expect(EVENT)
        for channel in channels[:1] + channels[2:]:
            await begin(client, channel, "1")
        await begin(client, "cache-d", None)


async def test_a_server_that_has_forgotten(place: Place) -> None:
    """After a restart nothing is remembered; what is published reaches those who were there."""
    async with place.edge() as edge, place.broker() as broker, Client(edge.url()) as client:
        for data in ("1", "2", "3"):
            assert [0] == await publish(broker, data, channels=["cache-a"])
        await begin(client, "cache-a", "3")
        place.server.kill()
        await place.server.start()
        number = 100
        async with asyncio.timeout(10):
            while await publish(broker, str(number), channels=["cache-a"]) != [0]:
                number += 1
                await asyncio.sleep(0.05)
        await eventually(lambda: bool(edge.metric("edge_bus_connected")))
        # Those before may have come too early for the edge.
        assert [0] == await publish(broker, '"last"', channels=["cache-a"])
        async with asyncio.timeout(5):
            while (await client.expect(EVENT))["data"] != '"last"':
                pass
        async with Client(edge.url()) as late:
            await begin(late, "cache-a", '"last"')


class Hesitant(NatsRecords):
    """Records that take their time to answer, when the store has done so already."""

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write, and wait."""
        results = await super().write(writes)
        await _hesitate()
        return results

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read, and wait."""
        records = await super().get(keys)
        await _hesitate()
        return records


async def _hesitate() -> None:
    await asyncio.sleep(random.random() * 0.01)  # noqa: S311 (not for cryptography)


LAST = 250
"""Events on each channel of the race."""


class Follower:
    """A client that subscribes again and again, and keeps what it got."""

    def __init__(self, client: Client, channel: str, seed: int) -> None:
        self._client = client
        self._channel = channel
        self._random = random.Random(seed)  # noqa: S311 (not for cryptography)
        # What it got after each answer.
        self.parts: list[list[str]] = []

    async def follow(self) -> None:
        """Come and go, and stay when the last event has come."""
        await asyncio.sleep(self._random.random() * 0.2)
        while True:
            await self._client.ask(self._channel)
            while (await self._client.receive())["event"] != SUCCEEDED:
                pass
            part: list[str] = []
            self.parts.append(part)
            enough = self._random.randrange(30)
            while len(part) < enough:
                message = await self._client.receive()
                part.append(MISS if message["event"] == MISS else message["data"])
                if part[-1] == str(LAST):
                    return
            await self._client.send("pusher:unsubscribe", {"channel": self._channel})
            await asyncio.sleep(self._random.random() * 0.02)


async def _publish_all(broker: RunningBroker, channel: str, seed: int) -> None:
    """Publish the numbers, some in batches, some alone."""
    source = random.Random(seed)  # noqa: S311 (not for cryptography)
    await asyncio.sleep(source.random() * 0.1)
    number = 1
    while number <= LAST:
        size = min(source.choice([1, 1, 2, 5]), LAST + 1 - number)
        data = [str(each) for each in range(number, number + size)]
        assert [0] * size == await publish(broker, *data, channels=[channel])
        number += size
        await asyncio.sleep(source.random() * 0.008)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_missed_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    """Whenever somebody comes, all that follows on what they began with arrives, once, in order."""

    def hesitant(settings: Settings) -> Records:
        return Hesitant(settings.nats_url, "pogo_cache")

    channels = [f"private-cache-{number}" for number in range(8)]
    async with NatsServer(tmp_path) as server, contextlib.AsyncExitStack() as stack:
        place = Place(server)
        edges = [await stack.enter_async_context(place.edge(hesitant)) for _ in range(2)]
        brokers = [await stack.enter_async_context(place.broker(hesitant)) for _ in range(2)]
        followers = []
        for number in range(24):
            client = await stack.enter_async_context(Client(edges[number % 2].url()))
            channel = channels[number // 2 % len(channels)]
            followers.append(Follower(client, channel, 1000 * seed + number))
        async with asyncio.timeout(40), asyncio.TaskGroup() as group:
            for follower in followers:
                group.create_task(follower.follow())
            for number, channel in enumerate(channels):
                # Order is kept by each broker, so each channel has one.
                broker = brokers[number % 2]
                group.create_task(_publish_all(broker, channel, 100 * seed + number))
        outcomes = {
            outcome: sum(
                edge.metric("cache_subscriptions_total", outcome=outcome) for edge in edges
            )
            for outcome in ("read", "heard", "miss", "unknown")
        }

    parts = [part for follower in followers for part in follower.parts if part]
    for part in parts:
        first = 0 if part[0] == MISS else int(part[0])
        expected = [str(number) for number in range(first, first + len(part))]

        assert expected == ["0" if data == MISS else data for data in part]
    assert 0 == outcomes["unknown"]
    # Or it was no race.
    assert min(outcomes["read"], outcomes["heard"]) > 50
