"""What whoever subscribes to a cache channel begins with, and what it gets from then on."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pogo.bus import Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.edge import cache as edge_cache
from pogo.edge import channel_cache
from pogo.edge.cache import Caches
from pogo.edge.channel import Channel
from pogo.edge.channel_cache import Welcome
from pogo.edge.connection import Connection
from pogo.edge.fanout import Fanout
from pogo.edge.metrics import EdgeMetrics
from pogo.records import CONFIRM_TIMEOUT, Write
from pogo.records.memory import MemoryRecords
from pogo.records.nats import NatsRecords
from tests.edge.backend import EVENT, Backend, WatchedRecords
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge
from tests.records.helpers import opened, until_connected
from tests.servers import HOST, NatsServer

CHANNEL = "cache-prices"
MISS = "pusher:cache_miss"
SUCCEEDED = "pusher_internal:subscription_succeeded"
KINDS = ("cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a")


@pytest.fixture(name="records")
def _records() -> WatchedRecords:
    return WatchedRecords()


@pytest.fixture(name="edge")
async def _edge(records: WatchedRecords) -> AsyncIterator[Edge]:
    async with running_edge(cache=records) as edge:
        yield edge


@pytest.fixture(name="backend")
def _backend(edge: Edge, records: WatchedRecords) -> Backend:
    return Backend(edge.bus, records)


async def _join(client: Client, channel: str = CHANNEL) -> None:
    """Subscribe, with a user of its own on presence channels."""
    user = client.socket_id if channel.startswith("presence-") else None
    await client.subscribe(channel, user)


async def _begin(client: Client, data: str, channel: str = CHANNEL) -> None:
    """Subscribe, and begin with an event."""
    await _join(client, channel)
    await _price(client, data, channel)


async def _price(client: Client, data: str, channel: str = CHANNEL) -> None:
    """Receive an event."""
    assert {"event": EVENT, "channel": channel, "data": data} == await client.receive()


async def _miss(client: Client, channel: str = CHANNEL) -> None:
    """Subscribe, and be told that nothing is remembered."""
    await _join(client, channel)
    assert {"event": MISS, "channel": channel, "data": "{}"} == await client.receive()


@pytest.mark.parametrize("channel", KINDS)
async def test_each_kind_begins_with_a_miss_or_an_event(
    edge: Edge, backend: Backend, channel: str
) -> None:
    """Nothing is remembered at first; then whoever comes gets the last event, and those to come."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await _miss(one, channel)
        await backend.publish(channel, "1")
        await _price(one, "1", channel)
        await _join(two, channel)
        if channel.startswith("presence-"):
            await one.expect("pusher_internal:member_added")
        await _price(two, "1", channel)
        await backend.publish(channel, "2")
        await _price(one, "2", channel)
        await _price(two, "2", channel)
        await one.silent()
        await two.silent()


@pytest.mark.parametrize("channel", KINDS)
async def test_a_record_is_read_when_the_channel_opens(
    edge: Edge, backend: Backend, channel: str
) -> None:
    """What was published while nobody here listened is what whoever comes gets, untouched."""
    data = '{"nonce":"ö\\u0000","ciphertext":"=="}'
    await backend.publish(channel, "old")
    await backend.publish(channel, data)
    async with Client(edge.url()) as client:
        await _begin(client, data, channel)
        await client.silent()


async def test_other_channels_begin_with_nothing(edge: Edge, records: WatchedRecords) -> None:
    """No record is read, and no miss is told."""
    async with Client(edge.url()) as client:
        for channel in ("news", "private-a", "private-encrypted-a", "private-my-cache-a"):
            await _join(client, channel)
        await _join(client, "presence-a")
        await client.silent()

    assert [] == records.reads


async def test_a_channel_that_is_heard_is_not_read(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """Whoever comes after a live event gets that one; only the first has cost a read."""
    async with Client(edge.url()) as first:
        await _miss(first)
        await backend.publish(CHANNEL, "1")
        for _ in range(5):
            async with Client(edge.url()) as client:
                await _begin(client, "1")

    assert 1 == len(records.reads)
    assert 5 == edge.metric("cache_subscriptions_total", outcome="heard")
    assert 1 == edge.metric("cache_subscriptions_total", outcome="miss")


async def test_a_crowd_costs_one_read(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """Those who come while a record is being read are answered with it."""
    await backend.record(CHANNEL, "1")
    records.gate.clear()
    async with Client(edge.url()) as one, Client(edge.url()) as two, Client(edge.url()) as three:
        await one.ask(CHANNEL)
        await records.arrived.wait()
        await two.ask(CHANNEL)
        await three.ask(CHANNEL)
        await eventually(lambda: edge.metric("subscriptions_active") == 3)
        records.gate.set()
        for client in (one, two, three):
            await client.expect(SUCCEEDED)
            await _price(client, "1")

    assert 1 == len(records.reads)


async def test_many_channels_are_read_together(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """Channels that are opened while a read is under way share the next."""
    channels = [f"cache-{number}" for number in range(50)]
    for channel in channels:
        await backend.record(channel, channel)
    records.gate.clear()
    async with Client(edge.url()) as client:
        await client.ask(CHANNEL)
        await records.arrived.wait()
        for channel in channels:
            await client.ask(channel)
        await eventually(lambda: edge.metric("cache_reads_waiting") == 51)
        records.gate.set()
        await client.expect(SUCCEEDED)
        await client.expect(MISS)
        for channel in channels:
            assert channel == (await client.expect(SUCCEEDED))["channel"]
            await _price(client, channel, channel)

    assert [1, 50] == [len(keys) for keys in records.reads]


async def test_an_event_that_arrives_while_the_record_is_read(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """It is newer than what is being read, and the one that is given; once."""
    await backend.record(CHANNEL, "1")
    records.gate.clear()
    async with Client(edge.url()) as client:
        await client.ask(CHANNEL)
        await records.arrived.wait()
        await backend.publish(CHANNEL, "2")
        await backend.publish(CHANNEL, "3")
        records.gate.set()
        await client.expect(SUCCEEDED)
        await _price(client, "3")
        await backend.publish(CHANNEL, "4")
        await _price(client, "4")
        await client.silent()


async def test_an_event_that_was_given_is_not_given_again(edge: Edge, backend: Backend) -> None:
    """Recorded, read, and only then published: whoever began with it does not get it twice."""
    async with Client(edge.url()) as early, Client(edge.url()) as late:
        await _miss(early)
        revision = await backend.record(CHANNEL, "1")
        await _begin(late, "1")
        await backend.deliver(CHANNEL, "1", revision)
        await backend.publish(CHANNEL, "2")
        await _price(early, "1")
        await _price(early, "2")
        await _price(late, "2")
        await late.silent()


async def test_older_events_are_not_given_after_a_newer_one(edge: Edge, backend: Backend) -> None:
    """A batch is recorded by its last event: whoever began with that gets none of the others."""
    async with Client(edge.url()) as early, Client(edge.url()) as late:
        await _miss(early)
        older = await backend.record(CHANNEL, "0")
        revision = await backend.record(CHANNEL, "3")
        await _begin(late, "3")
        # By another broker, which was slower.
        await backend.deliver(CHANNEL, "0", older)
        for data in ("1", "2", "3"):
            await backend.deliver(CHANNEL, data, revision)
        await backend.publish(CHANNEL, "4")
        for data in ("0", "1", "2", "3", "4"):
            await _price(early, data)
        await _price(late, "4")
        await late.silent()


async def test_an_event_that_was_tried_again(edge: Edge, backend: Backend) -> None:
    """It has a later revision, and the same id: whoever began with it does not get it twice."""
    async with Client(edge.url()) as client:
        await backend.record(CHANNEL, "1", "id")
        await _begin(client, "1")
        revision = await backend.record(CHANNEL, "1", "id")
        await backend.deliver(CHANNEL, "1", revision, event_id="id")
        await backend.publish(CHANNEL, "2")
        await _price(client, "2")


async def test_what_was_given_is_soon_forgotten(
    edge: Edge, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while, an event of that revision is a new one: the store may have begun anew."""
    monkeypatch.setattr(channel_cache, "WITHHOLD", 0.2)
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        revisions = {}
        for client, data in ((one, "1"), (two, "2")):
            revisions[client] = await backend.record(CHANNEL, data)
            await _begin(client, data)
        await backend.deliver(CHANNEL, "3", revisions[one])
        await one.silent()
        await two.silent()
        for client, revision in revisions.items():
            async with asyncio.timeout(5):
                while True:
                    await backend.deliver(CHANNEL, "3", revision)
                    await client.send("pusher:ping", {})
                    if (await client.receive())["event"] == EVENT:
                        break
                    # As often as a client may.
                    await asyncio.sleep(0.02)


async def test_the_excluded_connection(edge: Edge, backend: Backend) -> None:
    """Neither it nor whoever began with the event gets it; all others do."""
    async with (
        Client(edge.url()) as sender,
        Client(edge.url()) as other,
        Client(edge.url()) as late,
    ):
        await _miss(sender)
        await _miss(other)
        revision = await backend.record(CHANNEL, "1")
        await _begin(late, "1")
        await backend.deliver(CHANNEL, "1", revision, exclude=sender.socket_id)
        await _price(other, "1")
        await sender.silent()
        await late.silent()


async def test_subscribing_again(edge: Edge, backend: Backend) -> None:
    """Whoever asks twice gets the answer again and no event; whoever comes back gets it anew."""
    await backend.record(CHANNEL, "1")
    async with Client(edge.url()) as client:
        await _begin(client, "1")
        await _join(client)
        await client.silent()
        await client.send("pusher:unsubscribe", {"channel": CHANNEL})
        await _begin(client, "1")


async def test_asking_twice_before_the_answer(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """There is one answer, and one event."""
    await backend.record(CHANNEL, "1")
    records.gate.clear()
    async with Client(edge.url()) as client:
        await client.ask(CHANNEL)
        await records.arrived.wait()
        await client.ask(CHANNEL)
        await client.silent()
        records.gate.set()
        await client.expect(SUCCEEDED)
        await _price(client, "1")
        await client.silent()


async def test_leaving_while_the_record_is_read(
    edge: Edge, backend: Backend, records: WatchedRecords
) -> None:
    """Whoever leaves gets nothing, whoever comes back gets everything, and nothing is left."""
    await backend.record(CHANNEL, "1")
    records.gate.clear()
    async with Client(edge.url()) as client, Client(edge.url()) as gone:
        await gone.ask("cache-other")
        await client.ask(CHANNEL)
        await records.arrived.wait()
        await client.send("pusher:unsubscribe", {"channel": CHANNEL})
        await gone.socket.close()
        await eventually(lambda: edge.metric("channels_active") == 0)
        records.gate.set()
        await client.silent()
        await _begin(client, "1")

    await eventually(lambda: edge.metric("channels_active") == 0)
    assert 0 == edge.metric("cache_reads_waiting")


async def test_what_ends(edge: Edge, records: WatchedRecords) -> None:
    """A record that has ended is a miss."""
    backend = Backend(edge.bus, records, ttl=1)
    await backend.record(CHANNEL, "1")
    async with Client(edge.url()) as early:
        await _begin(early, "1")
        async with asyncio.timeout(5):
            while records.count:
                await records.get([])
                await asyncio.sleep(0.02)
        async with Client(edge.url()) as late:
            await _miss(late)


async def test_what_was_heard_ends(records: WatchedRecords) -> None:
    """So does what was heard, although the channel stays open."""
    async with running_edge(cache=records, cache_ttl=1) as edge:
        backend = Backend(edge.bus, records, ttl=1)
        async with Client(edge.url()) as early:
            await _miss(early)
            await backend.publish(CHANNEL, "1")
            async with Client(edge.url()) as client:
                await _begin(client, "1")
            await asyncio.sleep(1.05)
            async with Client(edge.url()) as late:
                await _miss(late)

    assert 2 == len(records.reads)


@pytest.mark.parametrize("channel", ["private-cache-a", "presence-cache-a"])
async def test_client_events_are_not_remembered(edge: Edge, backend: Backend, channel: str) -> None:
    """They pass by, also after an event of the back end."""
    async with Client(edge.url()) as one, Client(edge.url()) as two, Client(edge.url()) as three:
        await _miss(one, channel)
        await _miss(two, channel)
        if channel.startswith("presence-"):
            await one.expect("pusher_internal:member_added")
        await one.send("client-typing", {"key": 1}, channel=channel)
        await two.expect("client-typing")
        await _miss(three, channel)
        await backend.publish(channel, "1")
        if channel.startswith("presence-"):
            await two.expect("pusher_internal:member_added")
        await _price(two, "1", channel)
        await two.send("client-typing", {"key": 2}, channel=channel)
        await _price(three, "1", channel)
        await three.expect("client-typing")
        async with Client(edge.url()) as four:
            await _begin(four, "1", channel)


async def test_presence(edge: Edge, backend: Backend, records: WatchedRecords) -> None:
    """The roster comes first; members are announced once, and not while they wait."""
    channel = "presence-cache-a"
    await backend.record(channel, "1")
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        records.gate.clear()
        await one.ask(channel, '{"user_id":"1"}')
        await records.arrived.wait()
        await two.ask(channel, '{"user_id":"2"}')
        await eventually(lambda: edge.metric("registry_writes_waiting") == 0)
        await one.silent()
        records.gate.set()
        for client in (one, two):
            answer = await client.expect(SUCCEEDED)
            ids = json.loads(answer["data"])["presence"]["ids"]
            await _price(client, "1", channel)
            if len(ids) == 1:
                await client.expect("pusher_internal:member_added")
            else:
                assert ["1", "2"] == sorted(ids)
        await two.send("pusher:unsubscribe", {"channel": channel})
        await one.expect("pusher_internal:member_removed")
        await one.silent()


async def test_a_full_presence_channel(records: WatchedRecords) -> None:
    """Whoever finds no place gets no event."""
    async with (
        running_edge(cache=records, max_presence_members=1) as edge,
        Client(edge.url()) as one,
        Client(edge.url()) as two,
    ):
        await Backend(edge.bus, records).record("presence-cache-a", "1")
        await _begin(one, "1", "presence-cache-a")
        await two.ask("presence-cache-a", '{"user_id":"2"}')
        await two.expect("pusher:error")
        await two.expect("pusher:subscription_error")
        await two.silent()


async def test_subscription_counts(records: WatchedRecords) -> None:
    """Whoever was not admitted yet when the others were told is told then."""
    app = {"id": APP, "key": KEY, "secret": SECRET, "subscription_count": True}
    async with (
        running_edge(cache=records, apps=[app]) as edge,
        Client(edge.url()) as one,
        Client(edge.url()) as two,
    ):
        await Backend(edge.bus, records).record(CHANNEL, "1")
        await _begin(one, "1")
        await _count(one, 1)
        records.gate.clear()
        await two.ask(CHANNEL)
        await _count(one, 2)
        records.gate.set()
        await two.expect(SUCCEEDED)
        await _price(two, "1")
        await _count(two, 2)


async def _count(client: Client, count: int) -> None:
    message = await client.expect("pusher_internal:subscription_count")

    assert {"subscription_count": count} == json.loads(message["data"])


@pytest.mark.parametrize(
    ("room", "received"),
    [
        pytest.param(1, [SUCCEEDED, EVENT, "pusher:error"], id="answer"),
        pytest.param(20_000_000, [SUCCEEDED, EVENT, SUCCEEDED, "pusher:error"], id="event"),
    ],
)
async def test_the_last_straw(records: WatchedRecords, room: int, received: list[str]) -> None:
    """A client that has no room for the answer or the event is closed, and harms nobody else."""
    async with (
        running_edge(cache=records, max_write_buffer=room) as edge,
        Client(edge.url(), max_size=None) as slow,
        Client(edge.url()) as other,
    ):
        for channel in ("cache-a", "cache-b"):
            # More than any socket takes at once.
            await Backend(edge.bus, records).record(channel, "x" * 16_000_000)
        records.gate.clear()
        await slow.ask(CHANNEL)
        await records.arrived.wait()
        await slow.ask("cache-a")
        await slow.ask("cache-b")
        await other.ask("cache-c")
        await eventually(lambda: edge.metric("cache_reads_waiting") == 4)
        records.gate.set()
        code, messages = await slow.closed()
        await other.expect(SUCCEEDED)
        await other.expect(MISS)

        assert 4100 == code
        assert [SUCCEEDED, MISS, *received] == [message["event"] for message in messages]
    assert 0 == edge.metric("channels_active")


async def test_a_store_that_is_away(tmp_path: Path) -> None:
    """Subscribers are confirmed at once and get what is live; that is logged once, and its end."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    with capture_logs() as logs:
        async with (
            opened(NatsRecords([f"nats://{HOST}:{server.port}"], "tests")) as records,
            running_edge(cache=records) as edge,
            Client(edge.url()) as one,
            Client(edge.url()) as two,
        ):
            await _join(one)
            await _join(two)
            await one.silent()
            await edge.publish(CHANNEL, "live")
            await one.expect("live")
            await server.start()
            await until_connected(records)
            async with Client(edge.url()) as three:
                await _miss(three)
            unknown = edge.metric("cache_subscriptions_total", outcome="unknown")
        await server.stop()

    told = [(entry["log_level"], entry["event"]) for entry in logs if "cache ch" in entry["event"]]
    assert 2 == unknown
    assert ["warning", "info"] == [level for level, _ in told]


async def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    """Nobody waits for longer than two reads, however many channels there are."""
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsRecords([server.url], "tests")) as records,
        running_edge(cache=records) as edge,
        Client(edge.url()) as client,
    ):
        await _miss(client)
        server.freeze()
        channels = [f"cache-{number}" for number in range(50)]
        started = asyncio.get_running_loop().time()
        for channel in channels:
            await client.ask(channel)
        for _ in channels:
            await client.expect(SUCCEEDED)
        lasted = asyncio.get_running_loop().time() - started
        server.thaw()
        await client.silent()

    assert lasted < 2 * CONFIRM_TIMEOUT + 0.5


async def test_a_store_that_is_too_slow(
    edge: Edge, records: WatchedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has waited for too long for its turn is not read; what comes then is."""
    monkeypatch.setattr(edge_cache, "READ_WITHIN", 0.1)
    records.gate.clear()
    async with Client(edge.url()) as client:
        await client.ask(CHANNEL)
        await records.arrived.wait()
        for channel in ("cache-a", "cache-b"):
            await client.ask(channel)
        await eventually(lambda: edge.metric("cache_reads_waiting") == 3)
        await asyncio.sleep(0.11)
        records.gate.set()
        await client.expect(SUCCEEDED)
        await client.expect(MISS)
        await client.expect(SUCCEEDED)
        await client.expect(SUCCEEDED)
        await _miss(client, "cache-c")

    assert 2 == len(records.reads)
    assert 2 == edge.metric("cache_subscriptions_total", outcome="unknown")


async def test_a_live_event_while_the_store_does_not_answer(edge: Edge, tmp_path: Path) -> None:
    """What was heard is given, although the record could not be read."""
    del edge
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsRecords([server.url], "tests")) as records,
        running_edge(cache=records) as other,
        Client(other.url()) as client,
    ):
        backend = Backend(other.bus, records)
        server.freeze()
        await client.ask(CHANNEL)
        await eventually(lambda: other.metric("cache_reads_waiting") == 1)
        await backend.deliver(CHANNEL, "1", 7)
        await client.expect(SUCCEEDED)
        await _price(client, "1")
        server.thaw()


async def test_a_record_that_is_no_event(edge: Edge, records: WatchedRecords) -> None:
    """Something else's record is neither an event nor a miss."""
    await records.write([Write(f"pogo.v1.{APP}.ch.{CHANNEL}", b"\xff", 60, None)])
    async with Client(edge.url()) as client:
        await _join(client)
        await client.silent()

    assert 1 == edge.metric("cache_subscriptions_total", outcome="unknown")


class _Broken(MemoryRecords):
    """Records that have a bug at first."""

    faults = 1

    async def get(self, keys: Any) -> Any:
        """Fail, in a way that no adapter should."""
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a bug")
        return await super().get(keys)


async def test_a_bug_in_the_records() -> None:
    """The reading starts again: whoever waited is answered, and whoever comes then has it all."""
    async with running_edge(cache=_Broken()) as edge, Client(edge.url()) as client:
        await _join(client)
        await _miss(client, "cache-other")


async def test_after_the_bus_was_away(records: WatchedRecords) -> None:
    """What was heard before may not be the last event: the record is read again."""
    bus = MemoryBus()
    await bus.start()
    async with running_edge(bus, cache=records) as edge:
        backend = Backend(bus, records)
        async with Client(edge.url()) as early:
            await _miss(early)
            await backend.publish(CHANNEL, "1")
            await _price(early, "1")
            await bus.close()
            await backend.record(CHANNEL, "2")
            await bus.start()
            async with Client(edge.url()) as late:
                await _begin(late, "2")
    await bus.close()


async def test_revisions_that_begin_anew(records: WatchedRecords) -> None:
    """After the bus was away, only the id tells what somebody has: the store may be a new one."""
    bus = MemoryBus()
    await bus.start()
    async with running_edge(bus, cache=records) as edge, Client(edge.url()) as client:
        backend = Backend(bus, records)
        for data in ("0", "1"):
            await backend.record(CHANNEL, data)
        await _begin(client, "1")
        await bus.close()
        await bus.start()
        await backend.deliver(CHANNEL, "2", 1)
        await _price(client, "2")
        await backend.deliver(CHANNEL, "1", 2)
        await client.silent()
    await bus.close()


async def test_what_is_heard_is_bounded(
    edge: Edge, backend: Backend, records: WatchedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound, the quietest channels are read again; nobody misses anything for it."""
    monkeypatch.setattr(edge_cache, "MAX_HEARD_BYTES", 1000)
    channels = ["cache-a", "cache-b", "cache-c"]
    async with Client(edge.url()) as early:
        for channel in channels:
            await _miss(early, channel)
        for channel in channels:
            await backend.publish(channel, channel[-1] * 400)
            await early.expect(EVENT)
        before = len(records.reads)
        async with Client(edge.url()) as late:
            for channel in channels:
                await _begin(late, channel[-1] * 400, channel)

    assert 3 == before
    assert [["pogo.v1.app.ch.cache-a"]] == records.reads[before:]


async def test_what_outdates_a_read_is_kept(
    edge: Edge, backend: Backend, records: WatchedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that is heard while its channel's record is read makes no room for others."""
    monkeypatch.setattr(edge_cache, "MAX_HEARD_BYTES", 1000)
    async with Client(edge.url()) as early, Client(edge.url()) as client:
        await _miss(early, "cache-b")
        records.gate.clear()
        records.arrived.clear()
        await client.ask(CHANNEL)
        await records.arrived.wait()
        await backend.publish(CHANNEL, "1" * 1200)
        await backend.publish("cache-b", "2" * 600)
        records.gate.set()
        await client.expect(SUCCEEDED)
        await _price(client, "1" * 1200)


class _Told:
    """A connection that keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send_message(self, message: bytes) -> None:
        """Keep it."""
        self.messages.append(message)


async def test_who_is_told_of_a_miss() -> None:
    """The hook hears of it once for all who were admitted together, and not where none was."""
    missed: list[tuple[str, str]] = []
    metrics = EdgeMetrics(CollectorRegistry())
    records = MemoryRecords()
    caches = Caches(records, metrics, ttl=60, missed=lambda *key: missed.append(key))
    reading = asyncio.create_task(caches.run())
    told = [_Told(), _Told()]
    channels = {
        name: Channel(
            APP,
            name,
            fanout=Fanout(asyncio.get_running_loop()),
            metrics=metrics,
            max_backlog=1,
        )
        for name in ("cache-empty", "cache-full")
    }

    def admit_nobody(welcome: Welcome) -> None:
        del welcome

    def admit_both(welcome: Welcome) -> None:
        for connection in told:
            welcome(cast("Connection", connection))

    caches.open(channels["cache-full"]).when_known(admit_nobody)
    caches.open(channels["cache-empty"]).when_known(admit_both)
    await eventually(lambda: not caches.waiting)
    reading.cancel()

    assert [(APP, "cache-empty")] == missed
    assert [1, 1] == [len(each.messages) for each in told]


async def test_a_message_that_is_no_delivery(edge: Edge) -> None:
    """It is counted and reaches nobody, like on any channel."""
    async with Client(edge.url()) as client:
        await _miss(client)
        await edge.bus.publish([Message(channel_subject(APP, CHANNEL), b"\xff")])
        await client.silent()

    assert 1 == edge.metric("invalid_deliveries_total")
