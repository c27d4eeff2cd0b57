"""Brokers with an HTTP API on a bus of each kind, and real edges beside them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from pogo.bus import Bus
from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.cluster import EDGE
from pogo.registry import Registry
from pogo.registry.memory import MemoryRegistry
from pogo.registry.nats import NatsRegistry
from tests.broker.helpers import until
from tests.broker.http.helpers import EDGE_APP, Api, Backend, running_api
from tests.edge.helpers import Edge, running_edge
from tests.servers import NatsServer


@pytest_asyncio.fixture(name="bus", params=["memory", "nats"])
async def _bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    async with contextlib.AsyncExitStack() as stack:
        bus: Bus = MemoryBus()
        if request.param == "nats":
            bus = NatsBus([(await stack.enter_async_context(NatsServer(tmp_path))).url])
        await bus.start()
        stack.push_async_callback(bus.close)
        yield bus


@pytest_asyncio.fixture(name="api")
async def _api(bus: Bus) -> AsyncIterator[Api]:
    async with running_api(bus) as api:
        yield api


@pytest.fixture(name="backend")
def _backend(api: Api) -> Backend:
    return api.backend


@dataclass(frozen=True)
class Cluster:
    """Two edges, and the API of a broker beside them."""

    edges: tuple[Edge, Edge]
    api: Api

    @property
    def backend(self) -> Backend:
        """Who asks."""
        return self.api.backend


@pytest_asyncio.fixture(name="cluster", params=["memory", "nats"])
async def _cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with contextlib.AsyncExitStack() as stack:
        bus, registry = MemoryBus(), MemoryRegistry()
        url = ""
        if request.param == "nats":
            url = (await stack.enter_async_context(NatsServer(tmp_path))).url

        async def node() -> tuple[Bus, Registry]:
            """Connect one node."""
            parts = (NatsBus([url]), NatsRegistry([url])) if url else (bus, registry)
            for part in parts:
                await part.start()
                stack.push_async_callback(part.close)
            return parts

        edges = []
        for _ in range(2):
            own_bus, own_registry = await node()
            edges.append(
                await stack.enter_async_context(
                    running_edge(own_bus, registry=own_registry, apps=(EDGE_APP,))
                )
            )
        own_bus, own_registry = await node()
        api = await stack.enter_async_context(
            running_api(own_bus, registry=own_registry, apps=(EDGE_APP,))
        )
        nodes = api.broker.server._membership.nodes  # noqa: SLF001 (nobody else tells)
        await until(lambda: len(nodes.of_role(EDGE)) == len(edges))
        yield Cluster((edges[0], edges[1]), api)
