"""The registries under test. A new adapter is one more `pytest.param` here."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pogo.registry import Registry
from pogo.registry.memory import MemoryRegistry
from pogo.registry.nats import NatsRegistry
from pogo.registry.redis import RedisOptions, RedisRegistry
from tests.registry.helpers import opened
from tests.servers import NatsServer, RedisServer

PairFactory = Callable[[Path], AbstractAsyncContextManager[tuple[Registry, Registry]]]


@contextlib.asynccontextmanager
async def _memory_pair(directory: Path) -> AsyncIterator[tuple[Registry, Registry]]:
    """Open the one registry that a process has in memory."""
    del directory
    async with opened(MemoryRegistry()) as registry:
        yield registry, registry


@contextlib.asynccontextmanager
async def _nats_pair(directory: Path) -> AsyncIterator[tuple[Registry, Registry]]:
    """Open two registries on one nats-server."""
    async with NatsServer(directory) as server:
        one, other = NatsRegistry([server.url]), NatsRegistry([server.url])
        async with opened(one), opened(other):
            yield one, other


@contextlib.asynccontextmanager
async def _redis_pair(directory: Path) -> AsyncIterator[tuple[Registry, Registry]]:
    """Open two registries on one redis-server."""
    async with RedisServer(directory) as server:
        options = RedisOptions(port=server.port)
        async with opened(RedisRegistry(options)) as one, opened(RedisRegistry(options)) as other:
            yield one, other


_PAIRS = [
    pytest.param(_memory_pair, id="memory"),
    pytest.param(_nats_pair, id="nats"),
    pytest.param(_redis_pair, id="redis"),
]


@pytest.fixture(name="pair", params=_PAIRS)
async def _pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Registry, Registry]]:
    """Two started registries that share a store; in memory, one registry twice."""
    open_pair: PairFactory = request.param
    async with open_pair(tmp_path / "server") as pair:
        yield pair


@pytest.fixture(name="registry")
def _registry(pair: tuple[Registry, Registry]) -> Registry:
    return pair[0]


@pytest.fixture(name="peer")
def _peer(pair: tuple[Registry, Registry]) -> Registry:
    return pair[1]
