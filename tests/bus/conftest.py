"""Real servers for the bus tests, a fresh one for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers import NatsServer, RedisServer


@pytest.fixture(name="nats_server")
async def _nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(name="redis_server")
async def _redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server
