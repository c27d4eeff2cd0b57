"""The webhook stores under test. A new adapter is one more `pytest.param` in each list."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pogo.webhooks import WebhookStore
from pogo.webhooks.memory import MemoryWebhookStore
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.redis import RedisOptions, RedisWebhookStore
from tests.servers import NatsServer, RedisServer, ServerProcess
from tests.webhooks.helpers import opened

SIZE = 1000
"""Events that a queue under test may hold."""

DURABLE = ["appendonly yes", "appendfsync always"]

PairFactory = Callable[[Path], AbstractAsyncContextManager[tuple[WebhookStore, WebhookStore]]]


@dataclass
class Place:
    """A server that stores durably, and how to make a store on it."""

    server: ServerProcess
    make: Callable[[], WebhookStore]


def _nats(directory: Path) -> Place:
    server = NatsServer(directory)
    return Place(server, lambda: NatsWebhookStore([server.url], SIZE))


def _redis(directory: Path) -> Place:
    server = RedisServer(directory, config=DURABLE)
    return Place(server, lambda: RedisWebhookStore(RedisOptions(port=server.port), SIZE))


_PLACES = {"nats": _nats, "redis": _redis}


@contextlib.asynccontextmanager
async def _memory_pair(directory: Path) -> AsyncIterator[tuple[WebhookStore, WebhookStore]]:
    """Open the one store that a process has in memory."""
    del directory
    async with opened(MemoryWebhookStore(SIZE)) as store:
        yield store, store


def _pair_on(kind: str) -> PairFactory:
    @contextlib.asynccontextmanager
    async def pair(directory: Path) -> AsyncIterator[tuple[WebhookStore, WebhookStore]]:
        """Open the store of one server twice."""
        place = _PLACES[kind](directory)
        async with place.server, opened(place.make()) as one, opened(place.make()) as other:
            yield one, other

    return pair


_PAIRS = [
    pytest.param(_memory_pair, id="memory"),
    *[pytest.param(_pair_on(kind), id=kind) for kind in _PLACES],
]


@pytest.fixture(name="pair", params=_PAIRS)
async def _pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[WebhookStore, WebhookStore]]:
    """The same store, opened twice; in memory, one store twice."""
    open_pair: PairFactory = request.param
    async with open_pair(tmp_path / "server") as pair:
        yield pair


@pytest.fixture(name="store")
def _store(pair: tuple[WebhookStore, WebhookStore]) -> WebhookStore:
    return pair[0]


@pytest.fixture(name="peer")
def _peer(pair: tuple[WebhookStore, WebhookStore]) -> WebhookStore:
    return pair[1]


@pytest.fixture(
    name="place", params=[pytest.param(make, id=kind) for kind, make in _PLACES.items()]
)
async def _place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A server that was not started, and how to make stores on it."""
    place: Place = request.param(tmp_path / "server")
    place.server.reserve_port()
    yield place
    await place.server.stop()
