"""What records of a server do while it is away, frozen, full, or new."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pogo.records import (
    CONFIRM_TIMEOUT,
    Record,
    RecordMismatchError,
    Records,
    RecordsError,
    RecordsUnavailableError,
)
from pogo.records.nats import NatsRecords, StreamOptions
from pogo.records.redis import RedisOptions, RedisRecords
from tests.records.helpers import found, opened, outcome, put, until_connected, written
from tests.registry.nats_helpers import PlainNatsServer, ask_of
from tests.servers import HOST, NatsCluster, NatsServer, RedisServer, ServerProcess

# How late a loaded machine may be.
SLACK = 0.5


def _nats(directory: Path) -> tuple[ServerProcess, Callable[[], Records]]:
    server = NatsServer(directory)
    return server, lambda: NatsRecords([server.url], "tests")


def _redis(directory: Path) -> tuple[ServerProcess, Callable[[], Records]]:
    server = RedisServer(directory)
    return server, lambda: RedisRecords(RedisOptions(port=server.port), "tests")


@pytest.fixture(
    name="place", params=[pytest.param(_nats, id="nats"), pytest.param(_redis, id="redis")]
)
async def _place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[ServerProcess, Callable[[], Records]]]:
    """A server that was not started, and how to make records on it."""
    server, make = request.param(tmp_path / "server")
    server.reserve_port()
    yield server, make
    await server.stop()


async def test_a_server_that_is_not_there_yet(
    place: tuple[ServerProcess, Callable[[], Records]],
) -> None:
    """Everything fails at once, and works when it has come."""
    server, make = place
    async with opened(make()) as records:
        started = time.monotonic()
        refused = await outcome(records, put(b"1"))
        with pytest.raises(RecordsUnavailableError, match="not connected to"):
            await found(records)

        assert not records.connected
        assert isinstance(refused, RecordsUnavailableError)
        assert time.monotonic() - started < SLACK

        await server.start()
        await until_connected(records)

        assert await written(records, put(b"1")) > 0


async def test_a_restart(place: tuple[ServerProcess, Callable[[], Records]]) -> None:
    """A server that was killed has forgotten all, and takes new records, with later revisions."""
    server, make = place
    await server.start()
    async with opened(make()) as records:
        await written(records, put(b"1"))
        last = await written(records, put(b"1", key="app.other"))
        server.kill()
        await server.start()
        async with asyncio.timeout(5.0):
            while True:
                with contextlib.suppress(RecordsUnavailableError):
                    before = await found(records)
                    break
                await asyncio.sleep(0.01)

        assert before is None
        assert await written(records, put(b"2")) > last


async def test_a_frozen_server(place: tuple[ServerProcess, Callable[[], Records]]) -> None:
    """Nobody waits for longer than half a second; then it is away, and comes back."""
    server, make = place
    await server.start()
    async with opened(make()) as records:
        server.freeze()
        started = time.monotonic()
        refused, unread = await asyncio.gather(
            outcome(records, put(b"1")), found(records), return_exceptions=True
        )
        lasted = time.monotonic() - started
        server.thaw()
        await until_connected(records)

        assert isinstance(refused, RecordsUnavailableError)
        assert isinstance(unread, RecordsUnavailableError)
        assert CONFIRM_TIMEOUT <= lasted < CONFIRM_TIMEOUT + SLACK
        assert await written(records, put(b"1", key="app.other")) > 0


async def test_a_server_without_jetstream(tmp_path: Path) -> None:
    """`start` refuses it, and says how to turn it on."""
    async with PlainNatsServer(tmp_path) as server:
        with pytest.raises(RecordsError, match="nats-server --jetstream"):
            await NatsRecords([server.url], "tests").start()


@pytest.mark.parametrize("urls", [[], ["http://127.0.0.1:4222"], [f"nats://{HOST}:port"]])
async def test_urls_that_can_never_work(urls: list[str]) -> None:
    """`start` refuses them."""
    with pytest.raises(RecordsError, match="URL"):
        await NatsRecords(urls, "tests").start()


async def test_sentinels_that_can_never_work() -> None:
    """`start` refuses them."""
    with pytest.raises(RecordsError, match="sentinel"):
        await RedisRecords(RedisOptions(sentinels=("nowhere",)), "tests").start()


async def test_a_full_stream(tmp_path: Path) -> None:
    """It refuses what is new, keeps what it has, and takes a replacement that is no larger."""
    options = StreamOptions(max_bytes=2000)
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsRecords([server.url], "tests", options)) as records,
    ):
        keys = [f"app.{number:03}" for number in range(50)]
        results = [await outcome(records, put(b"12345", key=key, ttl=10)) for key in keys]
        kept = [result for result in results if isinstance(result, int)]
        replaced = await outcome(records, put(b"54321", kept[0], key=keys[0], ttl=300))

        assert 0 < len(kept) < 20
        assert {RecordsError} == {type(result) for result in results[len(kept) :]}
        assert [b"54321", b"12345"] == [
            record.value for record in await records.get([keys[0], keys[1]]) if record
        ]
        assert isinstance(replaced, int)


async def test_a_full_stream_takes_no_larger_replacement(tmp_path: Path) -> None:
    """What names no revision is refused like anything else, and what was there stays."""
    options = StreamOptions(max_bytes=2000)
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsRecords([server.url], "tests", options)) as records,
    ):
        first = await written(records, put(b"12345", None))
        await written(records, put(b"x" * 1200, None, key="app.other"))
        same = await written(records, put(b"54321", None))
        refused = await outcome(records, put(b"x" * 1000, None))

        assert same > first
        assert RecordsError is type(refused)
        assert Record(b"54321", same) == await found(records)


async def test_a_record_that_nats_would_not_take(tmp_path: Path) -> None:
    """It is refused by itself: the server would cut the connection for it."""
    async with (
        NatsServer(tmp_path) as server,
        opened(NatsRecords([server.url], "tests")) as records,
    ):
        large, small = await records.write(
            [put(b"x" * 1024 * 1024, None), put(b"1", None, key="app.other")]
        )
        alone = await outcome(records, put(b"x" * 1024 * 1024, None))
        largest = await outcome(records, put(b"x" * (1024 * 1024 - 128), None))

        assert [RecordsError, RecordsError] == [type(large), type(alone)]
        assert isinstance(small, int)
        assert isinstance(largest, int)
        assert records.connected


async def test_another_size(tmp_path: Path) -> None:
    """A stream that is there is changed to what the settings say by now."""
    async with NatsServer(tmp_path) as server:
        for size in (1_000_000, 2_000_000):
            async with opened(
                NatsRecords([server.url], "tests", StreamOptions(max_bytes=size))
            ) as records:
                await written(records, put(b"1", key=f"app.{size}"))

            info = await ask_of(server, "KV_tests", "INFO")
            assert size == info["config"]["max_bytes"]
        assert 2 == info["state"]["messages"]


async def test_redis_without_memory(tmp_path: Path) -> None:
    """What it refuses is an error of the record's own, and the connection stays."""
    async with (
        RedisServer(tmp_path, config=["maxmemory 1", "maxmemory-policy noeviction"]) as server,
        opened(RedisRecords(RedisOptions(port=server.port), "tests")) as records,
    ):
        refused = await outcome(records, put(b"1"))

        assert type(refused) is RecordsError
        assert "used memory" in str(refused)
        assert records.connected


@pytest.mark.parametrize(
    ("policy", "warnings"), [("noeviction", []), ("volatile-ttl", ["volatile-ttl"])]
)
async def test_redis_that_evicts(tmp_path: Path, policy: str, warnings: list[str]) -> None:
    """A server that may drop what it holds is told of; it is used all the same."""
    async with RedisServer(tmp_path, config=[f"maxmemory-policy {policy}"]) as server:
        with capture_logs() as logs:
            async with opened(RedisRecords(RedisOptions(port=server.port), "tests")) as records:
                await written(records, put(b"1"))

        assert warnings == [
            entry["maxmemory_policy"] for entry in logs if "evict" in entry["event"]
        ]


async def test_redis_that_does_not_say(tmp_path: Path) -> None:
    """A user who may not ask whether it evicts can use it."""
    async with RedisServer(tmp_path, config=["user broker on >word ~* &* +@all -info"]) as server:
        options = RedisOptions(port=server.port, user="broker", password="word")
        async with opened(RedisRecords(options, "tests")) as records:
            await written(records, put(b"1"))


@pytest.mark.chaos
async def test_the_death_of_a_leader(tmp_path: Path) -> None:
    """Two of three servers go on with all that was recorded."""
    async with NatsCluster(tmp_path) as nats, opened(NatsRecords(nats.urls, "tests")) as records:
        revision = await written(records, put(b"1"))
        leader = await nats.leader("KV_tests")
        leader.kill()
        async with asyncio.timeout(20.0):
            while True:
                result = await outcome(records, put(b"2", revision))
                if not isinstance(result, RecordsUnavailableError):
                    break
                await asyncio.sleep(0.05)
        record = await found(records)

        # It may have been written by the attempt before, which was not confirmed.
        assert isinstance(result, int | RecordMismatchError)
        assert record is not None
        assert b"2" == record.value
        assert isinstance(await outcome(records, put(b"3")), RecordMismatchError)
