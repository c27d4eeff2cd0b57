from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pogo.webhooks.nats import NatsWebhookStore
from tests.servers import NatsServer
from tests.webhooks.helpers import SHORT, opened


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(name="store")
async def _store(server: NatsServer) -> AsyncIterator[NatsWebhookStore]:
    async with opened(NatsWebhookStore([server.url], SHORT)) as store:
        yield store


@pytest.fixture(name="peer")
async def _peer(server: NatsServer) -> AsyncIterator[NatsWebhookStore]:
    async with opened(NatsWebhookStore([server.url], SHORT)) as store:
        yield store
