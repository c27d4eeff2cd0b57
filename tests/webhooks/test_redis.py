"""What only the webhook store on Redis has: scripts, permissions, memory and its log of writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pogo.bus.redis_link import Link, command
from pogo.webhooks import (
    DEDUPLICATION,
    MAX_AGE,
    DeposedError,
    QueueFullError,
    StoreUnavailableError,
    WebhookStoreError,
)
from pogo.webhooks.redis import RedisOptions, RedisWebhookStore
from tests.servers import HOST, RedisServer
from tests.webhooks.helpers import (
    APP,
    OTHER,
    QUEUE,
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
)


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture(name="store")
async def _store(server: RedisServer) -> AsyncIterator[RedisWebhookStore]:
    async with opened(RedisWebhookStore(RedisOptions(port=server.port))) as store:
        yield store


async def ask(server: RedisServer, *words: bytes) -> Any:
    """Have the server do one command, as an operator would."""
    link = await Link.open(RedisOptions(port=server.port), HOST, server.port)
    try:
        link.send(command(*words))
        return await link.receive()
    finally:
        link.abort()
        await link.close()


async def test_keys_end_by_themselves(server: RedisServer, store: RedisWebhookStore) -> None:
    """A queue that nobody adds to or reads, and ids; a ledger stays."""
    await put(store, [item(1)])
    await committed(store, {"a": b"1"}, [item(2, OTHER)])
    keys = sorted(await ask(server, b"KEYS", b"*"))
    ends = {key: await ask(server, b"TTL", key) for key in keys}

    assert {
        b"pogo:v1:w:g:app=2E1": -1,
        b"pogo:v1:w:i:app=2E1.default:id-1": pytest.approx(DEDUPLICATION, abs=5),
        b"pogo:v1:w:i:app=2E1.other=2Eendpoint:id-2": pytest.approx(DEDUPLICATION, abs=5),
        b"pogo:v1:w:l:app=2E1": -1,
        b"pogo:v1:w:q:app=2E1.default": pytest.approx(MAX_AGE, abs=5),
        b"pogo:v1:w:q:app=2E1.other=2Eendpoint": pytest.approx(MAX_AGE, abs=5),
    } == ends


async def test_a_store_that_is_emptied(server: RedisServer, store: RedisWebhookStore) -> None:
    """It has another leader and an empty ledger; places in queues do not go back."""
    lead = await committed(store, {"a": b"1"}, items(2))
    last = (await store.read(QUEUE, 0, 10))[-1].sequence
    await ask(server, b"FLUSHALL")
    with pytest.raises(DeposedError):
        await store.commit(lead, {"b": b"1"}, [])

    assert {} == await ledger(store)
    await put(store, items(1))
    assert [b"0"] == [event.body for event in await store.read(QUEUE, last, 10)]


async def test_a_server_without_memory(server: RedisServer, store: RedisWebhookStore) -> None:
    """Nothing of what is refused is done; reading and removing work."""
    lead = await committed(store, {"a": b"1", "b": b"1"}, items(2))
    await ask(server, b"CONFIG", b"SET", b"maxmemory", b"1")
    refused = await outcome(store, item(2))
    with pytest.raises(QueueFullError, match="used memory"):
        await store.commit(lead, {"a": b"2", "b": None}, [])
    with pytest.raises(QueueFullError, match="used memory"):
        await store.commit(lead, {"b": None}, [item(3)])
    (first,) = await store.read(QUEUE, 0, 1)
    await store.remove(QUEUE, first.sequence)
    await store.commit(lead, {"b": None}, [])
    await ask(server, b"CONFIG", b"SET", b"maxmemory", b"0")

    assert isinstance(refused, QueueFullError)
    assert numbers(1, first=1) == await bodies(store)
    assert {"a": b"1"} == await ledger(store)


@pytest.mark.parametrize(("config", "warnings"), [("yes", 0), ("no", 1)])
async def test_the_log_of_writes(tmp_path: Path, config: str, warnings: int) -> None:
    """A server that loses everything with a restart is told of; it is used all the same."""
    with capture_logs() as logs:
        async with (
            RedisServer(tmp_path, config=[f"appendonly {config}"]) as server,
            opened(RedisWebhookStore(RedisOptions(port=server.port))) as store,
        ):
            await put(store, [item(1)])

    told = [entry for entry in logs if "append-only" in entry["event"]]
    assert ["appendonly yes"] * warnings == [entry["needed"] for entry in told]


async def test_permissions(tmp_path: Path) -> None:
    """Who may neither ask nor publish can store; who may not store is told why."""
    rules = "user broker on >word ~pogo:v1:w:* resetchannels +@all -info"
    other = "user other on >word ~pogo:v1:r:* allchannels +@all"
    with capture_logs() as logs:
        async with RedisServer(tmp_path, config=[rules, other]) as server:
            options = RedisOptions(port=server.port, user="broker", password="word")
            async with opened(RedisWebhookStore(options)) as store:
                lead = await committed(store, {"a": b"1"}, items(2))
                await store.commit(lead, {"a": b"2"}, [])
                found = await bodies(store)
            options = RedisOptions(port=server.port, user="other", password="word")
            async with opened(RedisWebhookStore(options)) as store:
                refused = await outcome(store, item(1))
                with pytest.raises(StoreUnavailableError, match="permission"):
                    await store.read(QUEUE, 0, 1)
                with pytest.raises(StoreUnavailableError, match="permission"):
                    await store.lead(APP)

    assert numbers(2) == found
    assert isinstance(refused, StoreUnavailableError)
    assert any("redis refused" in entry["event"] for entry in logs)


async def test_what_is_no_hint(server: RedisServer, store: RedisWebhookStore) -> None:
    """Whatever else is published where hints are is told of, and does no harm."""
    hints = Hints(store)
    with capture_logs() as logs:
        for payload in (b"", b"a", b"a.b.c", b"\xff.a", b"=FF.a"):
            await ask(server, b"PUBLISH", b"pogo.v1.=.webhooked", payload)
        await put(store, [item(1)])
        await hints.until(QUEUE)

    assert 5 == sum("hint of a webhook was ignored" in entry["event"] for entry in logs)


async def test_a_ledger_of_many_keys(store: RedisWebhookStore) -> None:
    """It is read in several steps, and whole."""
    changes: dict[str, bytes | None] = {f"channel-{number}": b"1" for number in range(10_000)}
    await committed(store, changes)

    assert changes == await ledger(store)


async def test_sentinels_that_can_never_work() -> None:
    """`start` refuses them."""
    with pytest.raises(WebhookStoreError, match="sentinel"):
        await RedisWebhookStore(RedisOptions(sentinels=("nowhere",))).start()
