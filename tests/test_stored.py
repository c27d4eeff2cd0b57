"""What version 1 keeps on its servers, pinned as the servers have it: see tests/test_wire.py."""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import nats
import nats.js.errors
import pytest
import redis.asyncio
from nats.aio.client import Client

from pogo.records import Records, Write
from pogo.records.nats import NatsRecords
from pogo.records.redis import RedisRecords
from pogo.registry import Registry
from pogo.registry import Write as Entry
from pogo.registry.nats import NatsRegistry
from pogo.registry.redis import RedisOptions, RedisRegistry
from pogo.webhooks import Item, Queue, WebhookStore
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.redis import RedisWebhookStore
from tests.cluster.waiting import becomes
from tests.servers import NatsServer, RedisServer

TIMEOUT = 10.0

KEY = "p.shop.presence-room.edge-1.7"
MEMBER = b'{"user_id":"7","user_info":{"name":"Ada Lovelace, Countess of Lovelace"}}'
HOOK = Queue("shop", "crm")
WAITING, TOLD = Item(HOOK, "id-1", b'{"id":"id-1"}'), Item(HOOK, "id-2", b'{"id":"id-2"}')

RANDOM = {"pogo:v1:epoch", "pogo:v1:w:g:shop"}
REDIS = {
    "pogo:v1:epoch": "(random)",
    "pogo:v1:revision": "1",
    "pogo:v1:t:p": {"p.shop"},
    "pogo:v1:t:p.shop": {"p.shop.presence-room"},
    "pogo:v1:t:p.shop.presence-room": {"edge-1.7": f"1={MEMBER.decode()}"},
    "pogo:v1:o:edge-1": {KEY},
    "pogo:v1:r:pogo_cache": "(number)",
    "pogo:v1:r:pogo_cache:some.key": "(number)=value",
    "pogo:v1:w:q:shop.crm": ['e={"id":"id-1"}', 'e={"id":"id-2"}'],
    "pogo:v1:w:i:shop.crm:id-1": "",
    "pogo:v1:w:i:shop.crm:id-2": "",
    "pogo:v1:w:l:shop": {"crm/c/news": "=told"},
    "pogo:v1:w:g:shop": "(random)",
}
REDIS_TOLD = [
    *(
        (f"pogo.v1.reg.{topic}", f"{KEY} 1={MEMBER.decode()}")
        for topic in ("p.shop.presence-room", "p.shop", "p")
    ),
    ("pogo.v1.=.webhooked", "shop.crm"),
    ("pogo.v1.=.webhooked", "shop.crm"),
]
# Of each stream: subject, headers, data.
NATS = {
    "KV_pogo": [
        ("$KV.pogo.e.-.-.-.epoch", {"Pogo-Padding": "." * 30}, b"(random)"),
        (f"$KV.pogo.{KEY}", {}, MEMBER),
    ],
    "KV_pogo_cache": [("$KV.pogo_cache.some.key", {"Nats-TTL": "0060s"}, b"value")],
    "pogo_webhooks": [
        ("pogo.v1.=.webhooks.shop.crm", {"Nats-Msg-Id": "shop.crm.id-1"}, b'{"id":"id-1"}'),
        ("pogo.v1.=.webhooks.shop.crm", {"Nats-Msg-Id": "shop.crm.id-2"}, b'{"id":"id-2"}'),
    ],
    # MessagePack: [changes, endpoints, events]. The first one takes the lead.
    "pogo_ledgers": [
        ("pogo.v1.=.ledgers.shop.log", {}, b"\x93\x80\x90\x90"),
        (
            "pogo.v1.=.ledgers.shop.log",
            {},
            b"\x93\x81\xaacrm/c/news\xc4\x04told\x91\xa3crm\x91\x93\x00\xa4id-2\xc4\x0d"
            + TOLD.body,
        ),
        ("pogo.v1.=.ledgers.shop.done", {}, b"(number)"),
    ],
}


class Parts(NamedTuple):
    """Whatever keeps something on a server, each on connections of its own."""

    registry: Registry
    records: Records
    store: WebhookStore

    @classmethod
    def on(cls, server: NatsServer | RedisServer) -> Self:
        """Make them."""
        if isinstance(server, NatsServer):
            urls = [server.url]
            return cls(NatsRegistry(urls), NatsRecords(urls, "pogo_cache"), NatsWebhookStore(urls))
        options = RedisOptions(port=server.port)
        records = RedisRecords(options, "pogo_cache")
        return cls(RedisRegistry(options), records, RedisWebhookStore(options))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run them."""
        async with contextlib.AsyncExitStack() as stack:
            for part in self:
                await part.start()
                stack.push_async_callback(part.close)
            yield


async def _write(parts: Parts) -> None:
    """Write one of everything, and see that it is taken."""
    async with parts.running():
        [revision] = await parts.registry.write([Entry(KEY, MEMBER)])
        [recorded] = await parts.records.write([Write("some.key", b"value", 60, None)])
        [refused] = await parts.store.enqueue([WAITING])
        lead, _ = await parts.store.lead("shop")
        await parts.store.commit(lead, {"crm/c/news": b"told"}, [TOLD])

    assert isinstance(revision, int)
    assert isinstance(recorded, int)
    assert refused is None


async def test_redis(tmp_path: Path) -> None:
    """Keys, what they hold, and what is published, are these."""
    async with RedisServer(tmp_path) as server:
        client = redis.asyncio.Redis(port=server.port, decode_responses=True)
        async with client, client.pubsub() as heard:
            await heard.psubscribe("pogo.v1.reg.p*", "pogo.v1.=.*")
            await _write(Parts.on(server))
            told = [message async for message in _messages(heard, len(REDIS_TOLD))]
            kept = {
                key: _normal(await _value(client, key)) for key in map(str, await client.keys())
            }

    assert REDIS == kept | dict.fromkeys(RANDOM & kept.keys(), "(random)")
    assert REDIS_TOLD == told


async def test_nats(tmp_path: Path) -> None:
    """Streams, and the messages that they hold, are these."""
    async with NatsServer(tmp_path) as server:
        await _write(Parts.on(server))
        client = await nats.connect(server.url)
        try:
            names = {info.config.name for info in await client.jetstream().streams_info()}

            assert set(NATS) == names
            for name, messages in NATS.items():
                # The last note of a ledger is written without waiting.
                await becomes(messages, functools.partial(_stream, client, name), TIMEOUT)
        finally:
            await client.close()


@pytest.mark.parametrize("kind", [NatsServer, RedisServer])
async def test_others_read_it(kind: type[NatsServer | RedisServer], tmp_path: Path) -> None:
    """What was written is what is read, by whoever comes next."""
    async with kind(tmp_path) as server:
        await _write(Parts.on(server))
        parts = Parts.on(server)
        async with parts.running():
            entries = await parts.registry.owned("edge-1")
            [record] = await parts.records.get(["some.key"])
            waiting = await parts.store.read(HOOK, 0, 10)
            _, ledger = await parts.store.lead("shop")

    assert [(KEY, MEMBER)] == [(entry.key, entry.value) for entry in entries]
    assert record is not None
    assert b"value" == record.value
    assert [WAITING.body, TOLD.body] == [each.body for each in waiting]
    assert {"crm/c/news": b"told"} == ledger


async def _messages(heard: Any, count: int) -> AsyncIterator[tuple[str, str]]:
    async with asyncio.timeout(TIMEOUT):
        while count:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                yield message["channel"], message["data"]
                count -= 1


async def _value(client: Any, key: str) -> Any:
    read: dict[str, Callable[[str], Awaitable[Any]]] = {
        "string": client.get,
        "set": client.smembers,
        "hash": client.hgetall,
        "stream": client.xrange,
    }
    return await read[await client.type(key)](key)


def _normal(value: Any) -> Any:
    """Leave out what is another one each time: places in a stream, and revisions of records."""
    if isinstance(value, list):
        return [f"{name}={text}" for _, fields in value for name, text in fields.items()]
    return re.sub(r"^\d{9,}", "(number)", value) if isinstance(value, str) else value


async def _stream(client: Client, name: str) -> list[tuple[str, dict[str, str], bytes]]:
    stream = client.jetstream()
    state = (await stream.stream_info(name)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):  # another one is in its place
            message = await stream.get_msg(name, sequence)
            subject, data = str(message.subject), message.data or b""
            headers = dict(message.headers or {})
            # What had to be there before it, which is over.
            headers.pop("Nats-Expected-Last-Subject-Sequence", None)
            if subject.endswith((".epoch", ".done")):
                data = b"(random)" if subject.endswith(".epoch") else b"(number)"
            found.append((subject, headers, data))
    return found
