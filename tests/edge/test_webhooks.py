"""What an edge tells of its clients: client events, cache misses, and who subscribes to what."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pogo.bus import BusUnavailableError
from pogo.edge import webhooks
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.webhooks import MAX_EVENTS, MISS_INTERVAL, EdgeWebhooks
from pogo.pusher.frames import encode_client_event
from pogo.registry import Change, Entry
from pogo.settings import App, load_settings
from pogo.webhooks import (
    Endpoints,
    Item,
    Queue,
    StoreUnavailableError,
    WebhookStoreError,
)
from pogo.webhooks.memory import MemoryWebhookStore
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge

QUEUE = Queue(APP, "hook")
ROOM = "presence-room"


def app_with(*events: str, **changes: object) -> dict[str, object]:
    """Describe the app, with an endpoint for some events; for none without any."""
    hook = {"url": "http://127.0.0.1:9/", "name": "hook", "events": list(events)}
    hooks = [{**hook, **changes}] if events else []
    return {"id": APP, "key": KEY, "secret": SECRET, "webhooks": hooks}


def apps_of(app: dict[str, object]) -> tuple[App, ...]:
    """Make apps as they are read again."""
    return load_settings(None, {}, {"apps": [app]}).apps


class AwayStore(MemoryWebhookStore):
    """A store that can be away, as often as a test says, and that counts what it is asked."""

    def __init__(self, queue_size: int = 1000) -> None:
        super().__init__(queue_size)
        self.is_away = False
        self.refuses = ""
        self.calls: list[Sequence[Item]] = []

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store events, or fail."""
        self.calls.append(items)
        if self.is_away:
            return [StoreUnavailableError("away")] * len(items)
        if self.refuses:
            return [WebhookStoreError(self.refuses)] * len(items)
        return await super().enqueue(items)


class Counts:
    """A watcher of the registry that keeps every count of subscribers that was written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.now: dict[str, str] = {}

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Begin with nothing."""
        assert not entries

    def changed(self, change: Change) -> None:
        """Take a count, or that there is none any more."""
        channel = change.key.split(".")[2]
        text = "-" if change.value is None else change.value.decode()
        self.written.append(f"{channel} {text}")
        self.now.pop(channel, None)
        if change.value is not None:
            self.now[channel] = text


@pytest.fixture(name="store")
def _store() -> AwayStore:
    return AwayStore()


async def queued(store: MemoryWebhookStore) -> list[dict[str, str]]:
    """Read the events that wait for the endpoint, without their ids."""
    events = [json.loads(stored.body) for stored in await store.read(QUEUE, 0, 10_000)]
    assert len(events) == len({event.pop("id") for event in events})
    return events


async def counting(edge: Edge) -> Counts:
    """Watch what an edge writes of subscribers."""
    counts = Counts()
    await edge.registry.watch("c", counts)
    return counts


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('"as it is \\u00e9"', "as it is \u00e9"),
        ('{"x": [1, null]}', '{"x": [1, null]}'),
        ("17", "17"),
        ("null", "null"),
    ],
)
async def test_client_events(store: AwayStore, data: str, text: str) -> None:
    """A client event is told with its data as text, its sender, and the user on presence."""
    async with (
        running_edge(apps=[app_with("client_event")], webhook_store=store) as edge,
        Client(edge.url()) as client,
    ):
        await client.subscribe(ROOM, "7")
        await client.subscribe("private-room")
        for channel in (ROOM, "private-room"):
            message = f'{{"event":"client-moved","channel":"{channel}","data":{data}}}'
            await client.socket.send(message)
        async with asyncio.timeout(5):
            while len(await store.read(QUEUE, 0, 10)) < 2:  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0.01)

        told = {
            "name": "client_event",
            "event": "client-moved",
            "data": text,
            "socket_id": client.socket_id,
        }
        expected = [{**told, "channel": ROOM, "user_id": "7"}, {**told, "channel": "private-room"}]
        assert expected == await queued(store)


@pytest.mark.parametrize(
    "app",
    [
        app_with(),
        app_with("channel_occupied", "cache_miss"),
        app_with("client_event", channel_prefixes=["private-"]),
    ],
    ids=["without-webhooks", "other-events", "other-channels"],
)
async def test_client_events_that_nobody_wants(store: AwayStore, app: dict[str, object]) -> None:
    """Where no endpoint wants them, nothing is put anywhere."""
    async with (
        running_edge(apps=[app], webhook_store=store) as edge,
        Client(edge.url()) as client,
        Client(edge.url()) as other,
    ):
        await client.subscribe(ROOM, "7")
        await other.subscribe(ROOM, "7")
        await client.send("client-moved", {}, channel=ROOM)
        await other.expect("client-moved")
        await client.silent()

        assert 0 == edge.metric("edge_webhook_events_waiting")
    assert [] == store.calls


async def test_client_events_that_were_not_sent(
    store: AwayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the bus does not take is not told, nor is what a client may not send."""

    def refuse(message: object) -> None:
        del message
        raise BusUnavailableError("away")

    async with (
        running_edge(apps=[app_with("client_event")], webhook_store=store) as edge,
        Client(edge.url()) as client,
    ):
        await client.subscribe("private-room")
        await client.send("client-moved", {}, channel="private-other")
        await client.expect("pusher:error")
        monkeypatch.setattr(edge.bus, "post", refuse)
        await client.send("client-moved", {}, channel="private-room")
        await client.expect("pusher:error")

        assert 0 == edge.metric("edge_webhook_events_waiting")
    assert [] == store.calls


async def test_a_stopping_edge_tells_what_it_has(store: AwayStore) -> None:
    """What its clients did last is told before it ends."""
    async with running_edge(apps=[app_with("client_event")], webhook_store=store) as edge:
        async with Client(edge.url()) as client:
            await client.subscribe("private-room")
            store.is_away = True
            await client.send("client-moved", {}, channel="private-room")
            await eventually(lambda: bool(store.calls))
        store.is_away = False

    assert 1 == len(await queued(store))
    assert 0 == edge.metric("edge_webhook_events_dropped_total", reason="store_away")


async def test_a_stopping_edge_does_not_wait_for_long(store: AwayStore) -> None:
    """What a store that is away does not take is counted as lost."""
    async with (
        running_edge(apps=[app_with("client_event")], webhook_store=store) as edge,
        Client(edge.url()) as client,
    ):
        await client.subscribe("private-room")
        store.is_away = True
        await client.send("client-moved", {}, channel="private-room")
        await eventually(lambda: bool(store.calls))

    assert 1 == edge.metric("edge_webhook_events_dropped_total", reason="store_away")


async def test_occupancy_alone(store: AwayStore) -> None:
    """Where only that is wanted, an edge writes when a channel gets its first subscriber."""
    async with running_edge(apps=[app_with("channel_vacated")], webhook_store=store) as edge:
        counts = await counting(edge)
        async with Client(edge.url()) as one, Client(edge.url()) as two:
            await one.subscribe("news")
            await one.subscribe(ROOM, "1")
            await two.subscribe("news")
            await two.send("pusher:unsubscribe", {"channel": "news"})
            await two.silent()
            await eventually(lambda: counts.now == {"news": "1"})
        await eventually(lambda: not counts.now)

    assert ["news 1", "news -"] == counts.written


async def test_numbers(store: AwayStore) -> None:
    """Where they are wanted, an edge writes them a little later, and tells no client."""
    async with running_edge(apps=[app_with("subscription_count")], webhook_store=store) as edge:
        counts = await counting(edge)
        async with (
            Client(edge.url()) as one,
            Client(edge.url()) as two,
            Client(edge.url()) as three,
        ):
            for client in (one, two, three):
                await client.subscribe("news")
            await eventually(lambda: counts.now == {"news": "3"})
            for client in (one, two, three):
                await client.silent()
        await eventually(lambda: not counts.now)

    assert ["news 1", "news 3", "news -"] == counts.written


@pytest.mark.parametrize(
    "app",
    [app_with(), app_with("client_event", "cache_miss", "member_added")],
    ids=["without-webhooks", "other-events"],
)
async def test_nobody_wants_to_know(store: AwayStore, app: dict[str, object]) -> None:
    """Where no event depends on them, subscribers are not counted."""
    async with running_edge(apps=[app], webhook_store=store) as edge:
        counts = await counting(edge)
        async with Client(edge.url()) as client:
            await client.subscribe("news")
            await client.subscribe(ROOM, "1")
        await eventually(lambda: edge.metric("connections_active") == 0)

    assert [] == counts.written


async def test_apps_are_read_again(store: AwayStore) -> None:
    """Channels that are open are counted as their app wants it from now on."""
    async with running_edge(apps=[app_with()], webhook_store=store) as edge:
        counts = await counting(edge)
        async with Client(edge.url()) as one, Client(edge.url()) as two:
            for client in (one, two):
                await client.subscribe("news")
            await one.subscribe(ROOM, "1")
            assert {} == counts.now
            edge.server.replace_apps(apps_of(app_with("channel_occupied")))
            await eventually(lambda: counts.now == {"news": "2"})
            edge.server.replace_apps(apps_of(app_with("channel_occupied", "client_event")))
            edge.server.replace_apps(apps_of({**app_with(), "subscription_count": True}))
            await one.expect("pusher_internal:subscription_count")
            await two.expect("pusher_internal:subscription_count")
            edge.server.replace_apps(apps_of(app_with()))
            await eventually(lambda: not counts.now)

    assert "news 2" == counts.written[0]


# Without an edge around it


@pytest.fixture(name="clock")
def _clock() -> "Clock":
    return Clock()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 3_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Bench:
    """The webhooks of an edge, and its metrics."""

    def __init__(self, store: MemoryWebhookStore, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        endpoints = Endpoints(apps_of(app_with("client_event", "cache_miss")), "")
        metrics = EdgeMetrics(self._registry)
        self.webhooks = EdgeWebhooks(endpoints, store, metrics, clock=clock)

    def send(self, count: int = 1, size: int = 1) -> None:
        """Take client events."""
        data = json.dumps("x" * size).encode()
        for _ in range(count):
            message = encode_client_event("client-moved", "private-room", msgspec.Raw(data))
            self.webhooks.client_event(APP, "private-room", message, "1.1")

    @property
    def waiting(self) -> float:
        """How many events wait."""
        name = "pogo_websocket_edge_webhook_events_waiting"
        return self._registry.get_sample_value(name) or 0.0

    def dropped(self, reason: str) -> float:
        """How many events were lost for a reason."""
        name = "pogo_websocket_edge_webhook_events_dropped_total"
        return self._registry.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.fixture(name="bench")
async def _bench(store: AwayStore, clock: Clock) -> AsyncIterator[Bench]:
    bench = Bench(store, clock)
    task = asyncio.create_task(bench.webhooks.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(name="quick", autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a store for as long as in production."""
    monkeypatch.setattr(webhooks, "_MAX_RETRY_WAIT", 0.2)


async def test_a_miss_is_told_once_in_a_while(bench: Bench, store: AwayStore, clock: Clock) -> None:
    """One channel is missed once in three seconds, whoever else misses it elsewhere."""
    other = Bench(store, clock)
    for _ in range(3):
        bench.webhooks.cache_missed(APP, "cache-a")
    bench.webhooks.cache_missed(APP, "cache-b")
    task = asyncio.create_task(other.webhooks.run())
    other.webhooks.cache_missed(APP, "cache-a")
    await bench.webhooks.flush(5.0)
    await other.webhooks.flush(5.0)
    told = ["cache-a", "cache-b"]
    assert told == [event["channel"] for event in await queued(store)]
    clock.now += MISS_INTERVAL
    other.webhooks.cache_missed(APP, "cache-a")
    bench.webhooks.cache_missed(APP, "cache-a")
    await bench.webhooks.flush(5.0)
    await other.webhooks.flush(5.0)
    task.cancel()

    assert [*told, "cache-a"] == [event["channel"] for event in await queued(store)]


async def test_the_store_is_away_for_a_while(bench: Bench, store: AwayStore) -> None:
    """Events wait for the store, in their order, and are told once."""
    store.is_away = True
    bench.send(300)
    await eventually(lambda: len(store.calls) >= 3)
    assert 300 == bench.waiting
    store.is_away = False
    await bench.webhooks.flush(5.0)

    assert 300 == len(await queued(store))
    assert 0 == bench.waiting
    assert all(len(call) <= 200 for call in store.calls)


async def test_the_store_stays_away(
    bench: Bench, store: AwayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has waited for too long is lost, and counted."""
    monkeypatch.setattr(webhooks, "MAX_WAIT", 0.3)
    store.is_away = True
    bench.send(3)

    await eventually(lambda: bench.dropped("store_away") == 3)
    assert 0 == bench.waiting


async def test_the_buffer_is_full(
    bench: Bench, store: AwayStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes when there are too many already is lost, counted, and logged once in a while."""
    store.is_away = True
    bench.send(MAX_EVENTS + 5)

    assert 5 == bench.dropped("buffer_full")
    assert MAX_EVENTS == bench.waiting
    assert 1 == capsys.readouterr().out.count("webhooks dropped")


async def test_the_buffer_has_too_many_bytes(bench: Bench, store: AwayStore) -> None:
    """So is what has too many bytes, together with those that wait."""
    store.is_away = True
    bench.send(17, 1024 * 1024)

    assert 15 == bench.waiting
    assert 2 == bench.dropped("buffer_full")


async def test_a_full_queue(clock: Clock) -> None:
    """What an endpoint has no room for is lost at once, and holds nothing up."""
    store = AwayStore(queue_size=2)
    bench = Bench(store, clock)
    task = asyncio.create_task(bench.webhooks.run())
    bench.send(5)
    await bench.webhooks.flush(5.0)
    task.cancel()

    assert 3 == bench.dropped("queue_full")
    assert 2 == len(await queued(store))


async def test_a_store_that_refuses(bench: Bench, store: AwayStore) -> None:
    """What a store refuses for another reason is lost, too."""
    store.refuses = "no"
    bench.send(2)
    await bench.webhooks.flush(5.0)

    assert 2 == bench.dropped("refused")
