"""What only the Redis adapter has: its epoch, its scripts, permissions, databases and sentinels."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.redis_link import Link, command
from pogo.registry import RegistryError, RegistryUnavailableError, Write
from pogo.registry.redis import RedisOptions, RedisRegistry
from pogo.registry.redis_connection import STEP
from tests.registry.helpers import TOPIC, Record, delete, key, opened, put, watched
from tests.servers import HOST, RedisReplica, RedisSentinel, RedisServer, free_port

# How late a loaded machine may be.
SLACK = 0.5


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture(name="registry")
async def _registry(server: RedisServer) -> AsyncIterator[RedisRegistry]:
    async with opened(RedisRegistry(RedisOptions(port=server.port))) as registry:
        yield registry


async def ask(server: RedisServer, *words: bytes) -> Any:
    """Have the server do one command, as an operator would."""
    link = await Link.open(RedisOptions(port=server.port), HOST, server.port)
    try:
        link.send(command(*words))
        return await link.receive()
    finally:
        link.abort()
        await link.close()


async def keys(server: RedisServer) -> set[bytes]:
    """Return what there is in database 0."""
    return set(await ask(server, b"KEYS", b"*"))


async def test_restart_without_persistence(server: RedisServer, registry: RedisRegistry) -> None:
    """It is a new epoch, and its snapshot is there before `connected` is true again."""
    await put(registry, key("a"), b"1")
    epoch = registry.epoch
    async with watched(registry) as (record, status):
        server.kill()
        await status.until(1.0, connected=False)
        assert [key("a")] == record.keys()
        await server.start()
        _, snapshots = await status.until(2.0, connected=True)

        assert 2 == snapshots
        assert [] == record.snapshots[1]
        assert epoch
        assert registry.epoch not in (epoch, "")
        revision = await put(registry, key("b"), b"2")
        await record.until(revision)
        assert [key("b")] == record.keys()


@pytest.mark.parametrize("writes", [True, False])
async def test_store_that_is_emptied(
    server: RedisServer,
    registry: RedisRegistry,
    writes: bool,  # noqa: FBT001 (a case)
) -> None:
    """Nothing more is done in its old life, which ends with the next write, or else in seconds."""
    await put(registry, key("a"), b"1")
    epoch = registry.epoch
    async with watched(registry) as (record, status):
        await ask(server, b"FLUSHALL")
        if writes:
            (outcome,) = await registry.write([Write(key("b"), b"2")])
            assert isinstance(outcome, RegistryUnavailableError)
            assert "the registry began anew" in str(outcome)
        reason, _ = await status.until(2.0, connected=False)
        _, snapshots = await status.until(2.0, connected=True)

        assert "the registry began anew" == reason
        assert 2 == snapshots
        assert {} == record.view
        assert registry.epoch != epoch
        assert {b"pogo:v1:epoch"} == await keys(server)


async def test_epoch_is_shared_and_stays(server: RedisServer, registry: RedisRegistry) -> None:
    """Whoever connects to the same store learns the same epoch."""
    async with opened(RedisRegistry(RedisOptions(port=server.port))) as later:
        assert registry.epoch == later.epoch


async def test_frozen_server(server: RedisServer, registry: RedisRegistry) -> None:
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
        _, snapshots = await status.until(2.5, connected=True)
        revision = await put(registry, key("b"), b"2")

        assert 2 == snapshots
        await record.until(revision)


async def test_forgotten_scripts(server: RedisServer, registry: RedisRegistry) -> None:
    """They are loaded again with the next connection."""
    async with watched(registry) as (_, status):
        await ask(server, b"SCRIPT", b"FLUSH")
        with pytest.raises(RegistryUnavailableError, match="forgotten our scripts"):
            await registry.compare_and_set(key("a"), b"1", 0)
        await status.until(2.0, connected=True)

        assert await put(registry, key("a"), b"1")


async def test_master_that_is_demoted(server: RedisServer, registry: RedisRegistry) -> None:
    """A connection to it is given up, and not made again while it is a replica."""
    async with watched(registry) as (_, status):
        await ask(server, b"REPLICAOF", HOST.encode(), b"%d" % free_port())
        (outcome,) = await registry.write([Write(key("a"), b"1")])
        assert "not the master any more" in str(outcome)
        (outcome,) = await registry.write([Write(key("a"), b"1")])
        assert isinstance(outcome, RegistryUnavailableError)
        await ask(server, b"REPLICAOF", b"NO", b"ONE")
        await status.until(2.0, connected=True)

        assert await put(registry, key("a"), b"1")


async def test_a_hundred_thousand_entries_leave_nothing(
    server: RedisServer, registry: RedisRegistry
) -> None:
    """What came and went takes no place: neither hashes, nor owners, nor topics above."""
    await delete(registry, key("a"))
    size = await ask(server, b"DBSIZE")
    names = [f"p.a{n % 7}.room{n}.node{n % 100}.{n}" for n in range(0, 100_000, 2)]
    names += [f"p.a{n % 7}.room{n % 77}.node{n % 100}.{n}" for n in range(1, 100_000, 2)]
    for value in (b"x", None):
        for start in range(0, len(names), STEP):
            writes = [Write(name, value) for name in names[start : start + STEP]]
            assert all(isinstance(outcome, int) for outcome in await registry.write(writes))
        if value is not None:
            assert await ask(server, b"DBSIZE") > 50_000

    assert size == await ask(server, b"DBSIZE")


async def test_no_way_to_remove_leaves_anything(
    server: RedisServer, registry: RedisRegistry
) -> None:
    """A compare-and-set and a purge clean up after themselves like a write."""
    revision = await registry.compare_and_set("c.app.room.node.-", b"1", 0)
    await registry.compare_and_set("c.app.room.node.-", None, revision)
    await put(registry, "u.app.user.node.-", b"2")
    await delete(registry, "u.app.user.node.-")
    await put(registry, "p.app.room.node.1", b"3")
    await registry.purge("node")

    assert {b"pogo:v1:epoch", b"pogo:v1:revision"} == await keys(server)


async def test_more_than_one_step(server: RedisServer, registry: RedisRegistry) -> None:
    """An owner of more entries than one script reads or removes has all of them, and then none."""
    names = [f"p.app.room{n % 10}.node.{n}" for n in range(2 * STEP + 1)]
    await registry.write([Write(name, b"1") for name in names])

    assert sorted(names) == sorted(entry.key for entry in await registry.owned("node"))
    await registry.purge("node")
    assert [] == await registry.owned("node")
    assert {b"pogo:v1:epoch", b"pogo:v1:revision"} == await keys(server)


@pytest.mark.parametrize("topic", ["c", "c.app"])
async def test_snapshot_of_many_topics(registry: RedisRegistry, topic: str) -> None:
    """Five thousand topics under one above are read at once."""
    for start in range(0, 5000, STEP):
        names = [f"c.app.room{n}.node.-" for n in range(start, start + STEP)]
        await registry.write([Write(name, b"1") for name in names])
    async with watched(registry, topic) as (record, _):
        assert 5000 == len(record.view)


async def test_feed_is_not_behind_the_snapshot(
    server: RedisServer, registry: RedisRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come on two sockets, and yet nothing is told that the snapshot has already."""
    receive = Link.receive

    async def receive_slowly(link: Link) -> Any:
        await asyncio.sleep(0)  # the feed has many replies for one of a script's
        return await receive(link)

    monkeypatch.setattr(Link, "receive", receive_slowly)
    async with opened(RedisRegistry(RedisOptions(port=server.port))) as peer, watched(registry):

        async def write() -> None:
            for _ in range(100):
                await peer.write([Write(key(f"{n}"), b"") for n in range(50)])

        writing = asyncio.create_task(write())
        records = []
        while not writing.done():
            records.append(Record())
            await registry.watch(TOPIC, records[-1])
        await writing
        last = await put(peer, key("end"), b"")
        for record in records:
            changes = await record.until(last)
            for entry in record.snapshots[0]:
                assert entry.revision < changes[0].revision


async def test_two_databases(server: RedisServer, registry: RedisRegistry) -> None:
    """They are two registries, though Redis publishes to all databases."""
    other_options = RedisOptions(port=server.port, db=3)
    async with opened(RedisRegistry(other_options)) as other:
        async with watched(registry) as (here, _), watched(other) as (there, _):
            await put(registry, key("a"), b"1")
            await put(other, key("b"), b"2")
            await here.until(await put(registry, key("c"), b"3"))
            await there.until(await put(other, key("d"), b"4"))

            assert [key("a"), key("c")] == here.keys()
            assert [key("b"), key("d")] == there.keys()
        async with watched(other) as (record, _):
            assert [key("b"), key("d")] == record.keys()
        assert registry.epoch != other.epoch


async def test_permissions(tmp_path: Path) -> None:
    """What the server does not permit fails alone and undone, is logged once, and counted."""
    subjects = ("t", "t.app", "t.app.room")
    allowed = " ".join(f"&pogo.v1.reg.{subject}" for subject in subjects)
    rules = f"user default on nopass ~* +@all resetchannels {allowed}"
    closed = "t.app.closed.node.a"
    batch = [Write(key("a"), b"1"), Write(closed, b"2"), Write(key("b"), b"3")]
    with capture_logs() as logs:
        async with (
            RedisServer(tmp_path, config=[rules]) as server,
            opened(RedisRegistry(RedisOptions(port=server.port))) as registry,
            watched(registry) as (record, _),
        ):
            outcomes = await registry.write(batch)
            again = await registry.write(batch)
            with pytest.raises(RegistryError, match="can't publish") as caught:
                await registry.compare_and_set(closed, b"2", 0)
            with pytest.raises(RegistryUnavailableError, match="does not pass on"):
                await registry.watch("t.app.closed", Record())
            await record.until(await put(registry, key("c"), b"4"))
            async with watched(registry, "t") as (everything, _):
                assert [key("a"), key("b"), key("c")] == everything.keys() == record.keys()
            assert 4 == registry.refusals

    expected = [int, RegistryError, int]
    assert expected == [type(outcome) for outcome in outcomes]
    assert expected == [type(outcome) for outcome in again]
    assert not isinstance(caught.value, RegistryUnavailableError)
    warnings = [entry["detail"] for entry in logs if entry["event"] == "redis refused a command"]
    assert len(set(warnings)) == len(warnings)


async def test_server_without_memory(server: RedisServer, registry: RedisRegistry) -> None:
    """The server's words are passed on, for each write; reading works."""
    revision = await put(registry, key("a"), b"1")
    await ask(server, b"CONFIG", b"SET", b"maxmemory", b"1")
    outcomes = await registry.write([Write(key("b"), b"2"), Write(key("c"), b"3")])
    with pytest.raises(RegistryError, match="used memory"):
        await registry.compare_and_set(key("a"), b"4", revision)
    async with watched(registry) as (record, _):
        assert {key("a"): (b"1", revision)} == record.view

    assert [RegistryError] * 2 == [type(outcome) for outcome in outcomes]
    assert "used memory" in str(outcomes[0])
    await registry.purge("node")
    assert [] == await registry.owned("node")


async def test_sentinel_address_that_can_never_work() -> None:
    """`start` refuses it."""
    with pytest.raises(RegistryError, match="not a sentinel's address"):
        await RedisRegistry(RedisOptions(sentinels=("127.0.0.1",))).start()


async def test_sentinel_failover(tmp_path: Path) -> None:
    """The registry follows the master, and goes on in the same epoch with what was replicated."""
    async with (
        RedisServer(tmp_path / "master") as master,
        RedisReplica(tmp_path / "replica", master=master) as replica,
        RedisSentinel(tmp_path / "sentinel", master=master, master_name="main") as sentinel,
    ):
        await sentinel.until_info("sentinel", "slaves=1,")
        options = RedisOptions(sentinels=(f"{HOST}:{sentinel.port}",), sentinel_master="main")
        async with (
            opened(RedisRegistry(options)) as registry,
            watched(registry) as (record, status),
        ):
            epoch = registry.epoch
            revision = await put(registry, key("a"), b"1")
            async with asyncio.timeout(5.0):
                while not await ask(replica, b"EXISTS", f"pogo:v1:t:{TOPIC}".encode()):  # noqa: ASYNC110 (asks a server)
                    await asyncio.sleep(0.02)
            master.kill()
            await status.until(1.0, connected=False)
            await status.until(10.0, connected=True)

            assert {key("a"): (b"1", revision)} == record.view
            assert epoch == registry.epoch
            assert await put(registry, key("b"), b"2") > revision
