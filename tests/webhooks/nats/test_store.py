"""What only the webhook store on NATS has: its streams, its log, and a commit in two steps."""

import asyncio
import itertools
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pogo.webhooks import (
    MAX_COMMIT_BYTES,
    DeposedError,
    Queue,
    QueueFullError,
    StoreUnavailableError,
    WebhookStoreError,
)
from pogo.webhooks.ledger import MIN_EXCESS, Record
from pogo.webhooks.nats import NatsWebhookStore, StreamOptions
from pogo.webhooks.nats_ledgers import Log, NatsLedgersConnection
from pogo.webhooks.nats_wire import LEDGERS_STREAM, MIN_PAYLOAD, QUEUES_STREAM
from tests.registry.nats_helpers import PlainNatsServer, ask_of, publish
from tests.servers import HOST, NatsCluster, NatsServer
from tests.webhooks.helpers import (
    APP,
    OTHER,
    QUEUE,
    SHORT,
    Hints,
    bodies,
    committed,
    item,
    items,
    ledger,
    numbers,
    opened,
    outcome,
    put,
    remove_first,
    until_available,
    until_lost,
)


async def test_all_queues_share_their_bytes(server: NatsServer) -> None:
    """What does not fit is refused: an event alone, and a commit whole."""
    queues = StreamOptions(max_bytes=3000)
    async with opened(NatsWebhookStore([server.url], queues=queues)) as store:
        lead, _ = await store.lead(APP)
        await put(store, [item(0, body=b"x" * 1000)])
        refused = await outcome(store, item(1, body=b"x" * 2000))
        with pytest.raises(QueueFullError, match="bytes"):
            await store.commit(lead, {"a": b"1"}, [item(2, OTHER), item(3, body=b"x" * 1500)])
        await remove_first(store, 1)
        await store.commit(lead, {"b": b"1"}, [item(3, body=b"x" * 1500)])

        assert isinstance(refused, QueueFullError)
        assert {"b": b"1"} == await ledger(store)
        assert (1, 0) == (await store.size(QUEUE), await store.size(OTHER))


async def test_a_full_ledger(server: NatsServer) -> None:
    """It says so, and nothing is announced that is not written down."""
    ledgers = StreamOptions(max_bytes=3000)
    async with opened(NatsWebhookStore([server.url], ledgers=ledgers)) as store:
        lead = await committed(store, {"a": b"1"})
        with pytest.raises(StoreUnavailableError, match="maximum bytes exceeded"):
            await store.commit(lead, {"b": b"x" * 3000}, [item(1)])

        assert {"a": b"1"} == await ledger(store)
        assert [] == await bodies(store)


async def test_other_limits(tmp_path: Path) -> None:
    """Streams that are there get the limits of the settings, and keep what they hold for good."""
    server = NatsServer(tmp_path)
    async with server:
        for number, size in enumerate((100_000, 200_000)):
            options = StreamOptions(max_bytes=size)
            async with opened(NatsWebhookStore([server.url], size, options, options)) as store:
                await committed(store, {f"{size}": b"1"}, [item(number)])
            for stream, per_queue in ((QUEUES_STREAM, size), (LEDGERS_STREAM, -1)):
                config = (await ask_of(server, stream, "INFO"))["config"]
                assert size == config["max_bytes"]
                assert per_queue == config["max_msgs_per_subject"]
                assert "file" == config["storage"]
        server.kill()
        await server.start()
        async with opened(store := NatsWebhookStore([server.url], size, options, options)):
            assert numbers(2) == await bodies(store)
            assert {"100000": b"1", "200000": b"1"} == await ledger(store)


async def test_a_lower_limit(server: NatsServer, store: NatsWebhookStore) -> None:
    """It drops nothing that waits, and holds as soon as a queue is that short."""
    await put(store, items(SHORT))
    with capture_logs() as logs:
        async with opened(NatsWebhookStore([server.url], 2)) as lower:
            lead, _ = await lower.lead(APP)
            with pytest.raises(QueueFullError):
                await lower.commit(lead, {}, [item(SHORT)])
            assert numbers(SHORT) == await bodies(lower)
            await remove_first(lower, SHORT - 2)
    async with opened(NatsWebhookStore([server.url], 2)) as lower:
        assert isinstance(await outcome(lower, item(SHORT)), QueueFullError)
        assert numbers(2, first=SHORT - 2) == await bodies(lower)

    assert ["a queue has more than 2 events"] == [
        entry["reason"] for entry in logs if "keeps its configuration" in entry["event"]
    ]


async def test_a_store_that_is_lost(server: NatsServer, store: NatsWebhookStore) -> None:
    """It begins anew with an empty ledger; places in queues do not go back."""
    old = await committed(store, {"a": b"1"}, items(2))
    last = (await store.read(QUEUE, 0, 10))[-1].sequence
    server.kill()
    server.forget()
    await until_lost(store)
    await server.start()
    await until_available(store)
    with pytest.raises(WebhookStoreError):
        await store.commit(old, {"a": b"2"}, [item(5)])

    assert {} == await ledger(store)
    await put(store, items(1))
    assert [b"0"] == [event.body for event in await store.read(QUEUE, last, 10)]


async def test_a_ledger_is_as_long_as_it_must_be(
    server: NatsServer, store: NatsWebhookStore, peer: NatsWebhookStore
) -> None:
    """Ten thousand keys that change for a long time take a few times their own place."""
    lead, _ = await store.lead(APP)
    wanted = {f"channel-{number}": b"0" * 40 for number in range(10_000)}
    names = list(wanted)
    for start in range(0, 100_000, 1000):
        at = start % len(names)
        changes = dict.fromkeys(names[at : at + 1000], b"%040d" % start)
        wanted |= changes
        await store.commit(lead, changes, [])
    own = sum(len(name) + len(value) for name, value in wanted.items())
    state = (await ask_of(server, LEDGERS_STREAM, "INFO"))["state"]

    assert state["bytes"] < MIN_EXCESS + 4 * own
    assert wanted == await ledger(peer)


async def test_what_is_no_hint(server: NatsServer, store: NatsWebhookStore) -> None:
    """Whatever else is published where hints are is told of, and does no harm."""
    hints = Hints(store)
    with capture_logs() as logs:
        await publish(server, "pogo.v1.=.webhooked.app.default", b"")
        await put(store, [item(1)])
        await hints.until(QUEUE)

    assert 1 == sum("hint of a webhook was ignored" in entry["event"] for entry in logs)


async def test_what_is_no_record(server: NatsServer, store: NatsWebhookStore) -> None:
    """Whatever else is published where a ledger is is told of, and does no harm."""
    old = await committed(store, {"a": b"1"})
    with capture_logs() as logs:
        await publish(server, "pogo.v1.=.ledgers.app=2E1.log", b"no record")
        await publish(server, "pogo.v1.=.ledgers.app=2E1.done", b"no number")
        with pytest.raises(DeposedError):
            await store.commit(old, {"a": b"2"}, [])
        lead, found = await store.lead(APP)
    await store.commit(lead, {"b": b"1"}, [item(1)])

    assert {"a": b"1"} == found
    assert {"a": b"1", "b": b"1"} == await ledger(store)
    assert 1 == sum("record of a ledger was ignored" in entry["event"] for entry in logs)


async def test_others_who_take_the_lead_all_the_time(
    store: NatsWebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot get it gives up after a while, and can try again."""

    async def be_late(connection: NatsLedgersConnection, log: Log, record: Record) -> None:
        del connection, log, record
        raise DeposedError("somebody else was first")

    with monkeypatch.context() as contended:
        contended.setattr(NatsLedgersConnection, "append", be_late)
        with pytest.raises(StoreUnavailableError, match="others go on"):
            await store.lead(APP)

    assert {} == await ledger(store)


async def test_a_server_without_jetstream(tmp_path: Path) -> None:
    """`start` refuses it, and says how to turn it on."""
    async with PlainNatsServer(tmp_path) as server:
        with pytest.raises(WebhookStoreError, match="nats-server --jetstream"):
            await NatsWebhookStore([server.url]).start()


def with_max_payload(directory: Path, size: int) -> NatsServer:
    """Make a server that takes messages of so many bytes."""
    config = directory / "nats.conf"
    config.write_text(f"max_payload: {size}")
    return NatsServer(directory / "nats", args=["-c", str(config)])


async def test_a_server_that_takes_small_messages_only(tmp_path: Path) -> None:
    """`start` refuses it, and says what to change; the largest commit would never be stored."""
    async with with_max_payload(tmp_path, MIN_PAYLOAD - 1) as server:
        with pytest.raises(WebhookStoreError, match="max_payload"):
            await NatsWebhookStore([server.url]).start()


async def test_an_event_that_the_server_does_not_take(tmp_path: Path) -> None:
    """It is refused, and the connection stays; the largest commit goes through."""
    large = item(1, body=b"x" * MIN_PAYLOAD)
    async with (
        with_max_payload(tmp_path, MIN_PAYLOAD) as server,
        opened(NatsWebhookStore([server.url])) as store,
    ):
        lead, _ = await store.lead(APP)
        refused = await outcome(store, large)
        await store.commit(lead, {}, [item(2, body=b"x" * (MAX_COMMIT_BYTES - 100))])

        assert "bytes" in str(refused)
        assert 1 == await store.size(QUEUE)


@pytest.mark.parametrize("urls", [[], ["http://127.0.0.1:4222"], [f"nats://{HOST}:port"]])
async def test_urls_that_can_never_work(urls: list[str]) -> None:
    """`start` refuses them."""
    with pytest.raises(WebhookStoreError, match="URL"):
        await NatsWebhookStore(urls).start()


async def test_a_cluster(tmp_path: Path) -> None:
    """What a hint tells of is read at once, from whichever server; leaders follow each other."""
    async with (
        NatsCluster(tmp_path) as nats,
        opened(NatsWebhookStore(nats.urls)) as store,
        opened(NatsWebhookStore(nats.urls)) as peer,
    ):
        hints, first = Hints(peer), Queue(APP, "first")
        # Servers tell each other who listens when they come to it.
        async with asyncio.timeout(5.0):
            for number in itertools.count():
                await put(store, [item(number, first)])
                if first in hints.queues:
                    break
        last = 0
        for number in range(200):
            await put(store, [item(number)])
            await hints.until(QUEUE)
            (event,) = await peer.read(QUEUE, last, 10)
            assert b"%d" % number == event.body
            last = event.sequence
        for number in range(50):
            side, other = (store, peer) if number % 2 else (peer, store)
            await committed(side, {f"{number % 7}": b"%d" % number}, [item(number, OTHER)])
            assert b"%d" % number == (await ledger(other))[f"{number % 7}"]

        assert numbers(50) == await bodies(store, OTHER)


@pytest.mark.chaos
async def test_the_death_of_a_leader(tmp_path: Path) -> None:
    """Two of three servers go on with all that was confirmed, in order."""
    async with (
        NatsCluster(tmp_path) as nats,
        opened(NatsWebhookStore(nats.urls)) as store,
    ):
        number = 0
        for stream in (QUEUES_STREAM, LEDGERS_STREAM):
            await until_available(store)
            lead, _ = await store.lead(APP)
            for _ in range(50):
                number += 1
                await store.commit(lead, {"number": b"%d" % number}, [item(number)])
            leader = await nats.leader(stream)
            leader.kill()
            # Servers elect a leader after 4 to 9 s, and a question that was asked before takes 2 s.
            async with asyncio.timeout(20.0):
                while True:
                    try:
                        await until_available(store, within=20.0)
                        found = await ledger(store)
                        break
                    except StoreUnavailableError:
                        await asyncio.sleep(0.05)

            assert {"number": b"%d" % number} == found
            assert numbers(number, first=1) == await bodies(store)
            await leader.start()
            await nats.until_whole()
