"""The buses under test. A new adapter is one more `pytest.param` here."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pogo.bus import Bus
from tests.bus.helpers import (
    Remote,
    closing,
    memory_pair,
    nats_remote,
    redis_remote,
    remote_pair,
)
from tests.servers import NatsServer, RedisServer

_PAIRS = [
    pytest.param(memory_pair, id="memory"),
    pytest.param(lambda directory: remote_pair(nats_remote(directory)), id="nats"),
    pytest.param(lambda directory: remote_pair(redis_remote(directory)), id="redis"),
]

_REMOTES = [
    pytest.param(nats_remote, id="nats"),
    pytest.param(redis_remote, id="redis"),
]

PairFactory = Callable[[Path], AbstractAsyncContextManager[tuple[Bus, Bus]]]


@pytest.fixture(name="pair", params=_PAIRS)
async def _pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Bus, Bus]]:
    """Two started buses that share a server; in memory, one bus twice."""
    open_pair: PairFactory = request.param
    async with open_pair(tmp_path / "server") as pair:
        yield pair


@pytest.fixture(name="bus")
def _bus(pair: tuple[Bus, Bus]) -> Bus:
    return pair[0]


@pytest.fixture(name="peer")
def _peer(pair: tuple[Bus, Bus]) -> Bus:
    return pair[1]


@pytest.fixture(name="absent", params=_REMOTES)
async def _absent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Remote]:
    """A server that is not started yet; its port is known."""
    make: Callable[[Path], Remote] = request.param
    remote = make(tmp_path / "server")
    remote.server.reserve_port()
    async with closing(remote):
        yield remote


@pytest.fixture(name="remote")
async def _remote(absent: Remote) -> Remote:
    """A started server."""
    await absent.server.start()
    return absent


@pytest.fixture(name="nats_server")
async def _nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(name="redis_server")
async def _redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server
