"""What only the NATS adapter has: its stream, its epoch, and how it reads what was lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.nats_messages import Headers
from pogo.bus.nats_requests import Answer
from pogo.registry import RegistryError, RegistryUnavailableError, Write, nats_wire
from pogo.registry.nats import NatsRegistry, StreamOptions
from pogo.registry.nats_connection import NatsRegistryConnection
from tests.registry.helpers import TOPIC, Record, delete, key, opened, put, watched
from tests.registry.nats_helpers import (
    PlainNatsServer,
    ask,
    drop_next_change,
    messages,
    names,
    publish,
    until_snapshot,
    write_all,
)
from tests.servers import HOST, NatsServer

# How late a loaded machine may be.
SLACK = 0.5
NODE = "n.-.edge.edge-1.-"


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(name="registry")
async def _registry(server: NatsServer) -> AsyncIterator[NatsRegistry]:
    async with opened(NatsRegistry([server.url])) as registry:
        yield registry


async def test_a_server_without_jetstream(tmp_path: Path) -> None:
    """`start` refuses it, and says how to turn it on."""
    async with PlainNatsServer(tmp_path) as server:
        with pytest.raises(RegistryError, match="nats-server --jetstream"):
            await NatsRegistry([server.url]).start()


@pytest.mark.parametrize("urls", [[], ["http://127.0.0.1:4222"], [f"nats://{HOST}:port"]])
async def test_urls_that_can_never_work(urls: list[str]) -> None:
    """`start` refuses them."""
    with pytest.raises(RegistryError, match="URL"):
        await NatsRegistry(urls).start()


async def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    """`start` returns, everything fails at once, and the registry connects when it comes."""
    server = NatsServer(tmp_path)
    server.reserve_port()
    async with opened(NatsRegistry([server.url])) as registry:
        assert ("", False) == (registry.epoch, registry.connected)
        with pytest.raises(RegistryUnavailableError, match="not connected to nats"):
            await registry.watch(TOPIC, Record())
        async with server:
            async with asyncio.timeout(5.0):
                while not registry.connected:  # noqa: ASYNC110 (a listener would say it, too)
                    await asyncio.sleep(0.01)
            assert await put(registry, key("a"), b"1")


@pytest.mark.parametrize("forgets", [False, True])
async def test_restart(
    server: NatsServer,
    registry: NatsRegistry,
    forgets: bool,  # noqa: FBT001 (a case)
) -> None:
    """It is a new epoch, and every snapshot is there before `connected` is true again."""
    await put(registry, key("a"), b"1")
    epoch = registry.epoch
    async with watched(registry) as (record, status), watched(registry, "p") as (other, _):
        server.kill()
        await status.until(1.0, connected=False)
        assert [key("a")] == record.keys()
        if forgets:
            server.forget()
        await server.start()
        _, snapshots = await status.until(3.0, connected=True)

        assert (2, 2) == (snapshots, len(other.snapshots))
        assert [] == record.snapshots[1]
        assert registry.epoch not in (epoch, "")
        await record.until(await put(registry, key("b"), b"2"))
        assert [key("b")] == record.keys()


async def test_epoch_is_shared_and_stays(server: NatsServer, registry: NatsRegistry) -> None:
    """Whoever connects to the same store learns the same epoch."""
    async with opened(NatsRegistry([server.url])) as later:
        assert registry.epoch == later.epoch


async def test_stream_that_is_deleted(server: NatsServer, registry: NatsRegistry) -> None:
    """The next write notices, and the registry begins anew, for everyone."""
    await put(registry, key("a"), b"1")
    epoch = registry.epoch
    async with (
        opened(NatsRegistry([server.url])) as other,
        watched(other) as (there, others),
        watched(registry) as (record, status),
    ):
        await ask(server, "DELETE")
        (outcome,) = await registry.write([Write(key("b"), b"2")])
        assert isinstance(outcome, RegistryUnavailableError)
        await status.until(2.0, connected=False)
        _, snapshots = await status.until(2.0, connected=True)
        assert (2, {}) == (snapshots, record.view)
        assert registry.epoch != epoch
        await others.until(2.0, connected=False)
        await others.until(2.0, connected=True)

        assert ({}, registry.epoch) == (there.view, other.epoch)


async def test_stream_that_is_purged(server: NatsServer, registry: NatsRegistry) -> None:
    """Whoever connects next names a new epoch, and all others give up their connections."""
    await put(registry, key("a"), b"1")
    async with watched(registry) as (record, status):
        await ask(server, "PURGE")
        async with opened(NatsRegistry([server.url])) as later:
            reason, _ = await status.until(2.0, connected=False)
            await status.until(2.0, connected=True)

            assert "the registry began anew" == reason
            assert ({}, later.epoch) == (record.view, registry.epoch)


async def test_epoch_that_is_replaced(server: NatsServer, registry: NatsRegistry) -> None:
    """A connection to a store with another life than it began with is given up."""
    async with watched(registry) as (_, status):
        await publish(server, nats_wire.KEY_PREFIX + nats_wire.EPOCH_KEY, b"another")
        reason, _ = await status.until(2.0, connected=False)
        await status.until(2.0, connected=True)

        assert "the registry began anew" == reason
        assert "another" == registry.epoch


async def test_frozen_server(server: NatsServer, registry: NatsRegistry) -> None:
    """A write fails within a second, the connection within four; thawed, the server is back."""
    async with watched(registry) as (record, status):
        loop = asyncio.get_running_loop()
        frozen_at = loop.time()
        server.freeze()
        (outcome,) = await registry.write([Write(key("a"), b"1")])
        assert isinstance(outcome, RegistryUnavailableError)
        assert loop.time() - frozen_at < CONFIRM_TIMEOUT + SLACK
        await status.until(4.0, connected=False)
        assert loop.time() - frozen_at < 4.0
        server.thaw()
        _, snapshots = await status.until(4.0, connected=True)
        revision = await put(registry, key("b"), b"2")

        assert 2 == snapshots
        await record.until(revision)


async def test_a_hundred_thousand_entries_leave_nothing(
    server: NatsServer, registry: NatsRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the notes of their removal have expired, the stream is as small as before."""
    monkeypatch.setattr(nats_wire, "_TOMBSTONE", b"KV-Operation: DEL\r\nNats-TTL: 1s\r\n")
    await put(registry, key("a"), b"1")
    before = await messages(server)
    keys = [f"p.app.room{n % 77}.node{n % 100}.{n}" for n in range(100_000)]
    await write_all(registry, keys, b"x")
    assert before + len(keys) == await messages(server)
    await write_all(registry, keys, None)
    async with asyncio.timeout(10.0):
        while before < await messages(server):  # noqa: ASYNC110 (asks a server)
            await asyncio.sleep(0.1)

    assert before == await messages(server)


@pytest.mark.parametrize("count", [999, 1000, 1001, 1024, 1025, 2001])
async def test_snapshots_of_many_pages(registry: NatsRegistry, count: int) -> None:
    """Below and above what NATS reads by name, and what it answers at once, all is there."""
    keys = names(count)
    await write_all(registry, keys, b"x")
    removed = keys[:: count // 3]
    await write_all(registry, removed, None)
    async with watched(registry) as (record, _):
        assert sorted(set(keys) - set(removed)) == record.keys()


@pytest.fixture(name="full")
async def _full(server: NatsServer) -> AsyncIterator[tuple[NatsRegistry, list[str]]]:
    """A registry whose store is full, and the keys that found a place beside a node's."""
    async with opened(NatsRegistry([server.url], StreamOptions(max_bytes=20_000))) as registry:
        await registry.compare_and_set(NODE, b'{"process":"edge","ready":true}', 0)
        keys = names(1000)
        outcomes = await registry.write([Write(name, b"x") for name in keys])
        taken = sum(isinstance(outcome, int) for outcome in outcomes)
        assert 0 < taken < len(keys)
        yield registry, keys[:taken]


async def test_a_store_that_is_full(full: tuple[NatsRegistry, list[str]]) -> None:
    """What is new is refused, what is there stays and can be changed."""
    registry, kept = full
    (outcome,) = await registry.write([Write(key("new"), b"x")])
    assert type(outcome) is RegistryError
    assert "maximum bytes exceeded" == str(outcome)
    await put(registry, kept[0], b"y")
    async with watched(registry) as (record, _):
        assert sorted(kept) == record.keys()
        assert b"y" == record.view[kept[0]][0]


async def test_removals_in_a_store_that_is_full(full: tuple[NatsRegistry, list[str]]) -> None:
    """Whoever leaves makes room, so a removal is never refused."""
    registry, kept = full
    async with watched(registry) as (record, _):
        await record.until(await delete(registry, kept[0]))
        assert sorted(kept[1:]) == record.keys()


async def test_beats_in_a_store_that_is_full(full: tuple[NatsRegistry, list[str]]) -> None:
    """A node beats on, and can be taken out: for want of memory nobody loses sight of it."""
    registry, _ = full
    (entry,) = [each for each in await registry.owned("edge-1") if each.key == NODE]
    revision = await registry.compare_and_set(NODE, entry.value, entry.revision)

    assert await registry.compare_and_set(NODE, None, revision) > revision


async def test_a_change_of_configuration(server: NatsServer, registry: NatsRegistry) -> None:
    """Whoever starts later has the stream changed; nothing in it is lost."""
    await put(registry, key("a"), b"1")
    options = StreamOptions(max_bytes=8 * 1024 * 1024)
    async with opened(NatsRegistry([server.url], options)) as later, watched(later) as (record, _):
        assert options.max_bytes == (await ask(server, "INFO"))["config"]["max_bytes"]
        assert [key("a")] == record.keys()
        assert registry.epoch == later.epoch


async def test_a_new_leader(
    server: NatsServer, registry: NatsRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an election lost is read again as soon as NATS tells of it."""
    async with watched(registry) as (record, status):
        drop_next_change(monkeypatch)
        await put(registry, key("lost"), b"1")
        await record.until(await put(registry, key("b"), b"2"))
        assert [key("b")] == record.keys()
        await publish(server, nats_wire.LEADER_ELECTED, b"{}")
        await until_snapshot(record, 2)

        assert [key("b"), key("lost")] == record.keys()
        assert [] == status.changes


async def test_a_change_that_was_lost(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read from time to time whether anything was, though nobody noticed."""
    registry = NatsRegistry([server.url], refresh_interval=0.1)
    async with opened(registry), watched(registry) as (record, status):
        await until_snapshot(record, 2)
        drop_next_change(monkeypatch)
        await put(registry, key("lost"), b"1")
        seen = len(record.snapshots)
        await until_snapshot(record, seen + 2)

        assert [key("lost")] == record.keys()
        assert [] == status.changes


async def test_a_message_that_is_no_change(server: NatsServer, registry: NatsRegistry) -> None:
    """Whatever else is published where changes are expected is ignored, and costs nothing."""
    async with watched(registry) as (record, status):
        await publish(server, nats_wire.feed_subject(TOPIC), b"hello")
        await record.until(await put(registry, key("a"), b"1"))

        assert [key("a")] == record.keys()
        assert [] == status.changes


async def test_a_question_that_is_not_answered(
    registry: NatsRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot say how a key stands does not say that it is gone."""
    revision = await put(registry, key("a"), b"1")
    answer = b'{"error":{"code":503,"err_code":10008,"description":"temporarily unavailable"}}'
    ask_really = NatsRegistryConnection._asked  # noqa: SLF001 (stands for a server in trouble)

    async def asked(connection: NatsRegistryConnection, *arguments: object) -> list[Answer | None]:
        (commands, *_) = arguments
        assert isinstance(commands, list)
        if b"STREAM.MSG.GET" in commands[0](b"reply"):
            return [(Headers(b""), answer)]
        return await ask_really(connection, commands, CONFIRM_TIMEOUT)

    monkeypatch.setattr(NatsRegistryConnection, "_asked", asked)
    with pytest.raises(RegistryUnavailableError, match="temporarily unavailable"):
        await registry.compare_and_set(key("a"), b"2", revision - 1)
