"""The records under test. A new adapter is one more `pytest.param` here."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.records.nats import NatsRecords
from pogo.records.redis import RedisOptions, RedisRecords
from tests.records.helpers import opened
from tests.servers import NatsServer, RedisServer

PairFactory = Callable[[Path], AbstractAsyncContextManager[tuple[Records, Records]]]


@contextlib.asynccontextmanager
async def _memory_pair(directory: Path) -> AsyncIterator[tuple[Records, Records]]:
    """Open the one bucket that a process has in memory."""
    del directory
    async with opened(MemoryRecords()) as records:
        yield records, records


@contextlib.asynccontextmanager
async def _nats_pair(directory: Path) -> AsyncIterator[tuple[Records, Records]]:
    """Open one bucket on one nats-server twice."""
    async with (
        NatsServer(directory) as server,
        opened(NatsRecords([server.url], "tests")) as one,
        opened(NatsRecords([server.url], "tests")) as other,
    ):
        yield one, other


@contextlib.asynccontextmanager
async def _redis_pair(directory: Path) -> AsyncIterator[tuple[Records, Records]]:
    """Open one bucket on one redis-server twice."""
    async with RedisServer(directory) as server:
        options = RedisOptions(port=server.port)
        async with (
            opened(RedisRecords(options, "tests")) as one,
            opened(RedisRecords(options, "tests")) as other,
        ):
            yield one, other


_PAIRS = [
    pytest.param(_memory_pair, id="memory"),
    pytest.param(_nats_pair, id="nats"),
    pytest.param(_redis_pair, id="redis"),
]


@pytest.fixture(name="pair", params=_PAIRS)
async def _pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Records, Records]]:
    """The same bucket, opened twice; in memory, one bucket twice."""
    open_pair: PairFactory = request.param
    async with open_pair(tmp_path / "server") as pair:
        yield pair


@pytest.fixture(name="records")
def _records(pair: tuple[Records, Records]) -> Records:
    return pair[0]


@pytest.fixture(name="peer")
def _peer(pair: tuple[Records, Records]) -> Records:
    return pair[1]
