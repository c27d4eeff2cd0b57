"""A broker on a real nats-server, PHP beside it, and what arrives on the bus."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pogo.bus.nats import NatsBus
from pogo.settings import App
from tests.broker.helpers import APP, RunningBroker, make_settings, running_broker
from tests.php.process import Php, environment
from tests.servers import HOST, NatsServer

StartBroker = Callable[..., AbstractAsyncContextManager[RunningBroker]]
StartPhp = Callable[..., AbstractAsyncContextManager[Php]]


@pytest_asyncio.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest_asyncio.fixture(name="bus")
async def _bus(nats: NatsServer) -> AsyncIterator[NatsBus]:
    """Run a bus of the test's own, which hears what edges would."""
    bus = NatsBus([nats.url])
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture(name="start_broker")
def _start_broker(nats: NatsServer) -> StartBroker:
    """Return what runs a broker on the nats-server, with these settings."""

    @contextlib.asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[RunningBroker]:
        bus = NatsBus([nats.url])
        await bus.start()
        try:
            async with running_broker(bus, make_settings(**changes)) as broker:
                yield broker
        finally:
            await bus.close()

    return start


@pytest_asyncio.fixture(name="broker")
async def _broker(start_broker: StartBroker) -> AsyncIterator[RunningBroker]:
    async with start_broker() as broker:
        yield broker


@pytest.fixture(name="start_php")
def _start_php(tmp_path: Path) -> StartPhp:
    """Return what runs PHP for a broker, by its port or address, with these settings."""
    count = 0

    def start(broker: int | str, app: App = APP, **settings: str) -> Php:
        nonlocal count
        count += 1
        address = f"{HOST}:{broker}" if isinstance(broker, int) else broker
        known = environment(app, **{"BROKER": address, **settings})
        return Php(known, tmp_path / f"php-{count}.log")

    return start


@pytest_asyncio.fixture(name="php")
async def _php(broker: RunningBroker, start_php: StartPhp) -> AsyncIterator[Php]:
    async with start_php(broker.server.grpc_port) as php:
        yield php
