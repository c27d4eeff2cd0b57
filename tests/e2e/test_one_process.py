"""Edge and broker in one process, as `pogo serve` runs them, where one can be stopped alone."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from pogo.broker.server import BrokerServer
from pogo.bus.memory import MemoryBus
from pogo.client import AsyncClient, PublishError, StatusCode
from pogo.cluster import Timing
from pogo.edge.server import EdgeServer
from pogo.records.memory import MemoryRecords
from pogo.registry.memory import MemoryRegistry
from tests.edge.helpers import APP, KEY, SECRET, Client, make_settings

QUICK = Timing(beat=0.1, dead_after=0.3)


async def test_a_stopped_edge_is_a_missing_hub() -> None:
    """Clients of a live edge get what is published; without one, a publisher is told."""
    settings = make_settings(grpc_port=0)
    bus, registry, metrics = MemoryBus(), MemoryRegistry(), CollectorRegistry()
    edge = EdgeServer(settings, bus=bus, registry=registry, metrics=metrics, timing=QUICK)
    broker = BrokerServer(
        settings,
        bus=bus,
        registry=registry,
        records=MemoryRecords(),
        metrics=metrics,
        timing=QUICK,
    )
    await bus.start()
    await edge.start()
    await broker.start()
    target = f"127.0.0.1:{broker.grpc_port}"
    async with AsyncClient(target, app_id=APP, key=KEY, secret=SECRET) as publisher:
        async with Client(f"ws://127.0.0.1:{edge.port}/app/{KEY}?protocol=7") as client:
            await client.subscribe("news")
            await publisher.publish("news", "created", {"id": 1})
            await client.expect("created")
        await edge.stop()
        with pytest.raises(PublishError) as raised:
            await asyncio.wait_for(_publish_until_refused(publisher), 5)

        assert StatusCode.HUB_MISSING == raised.value.code
        assert "no edge is alive" in raised.value.detail
    await broker.stop()
    await bus.close()


async def _publish_until_refused(publisher: AsyncClient) -> None:
    """Publish on: for a while nobody can be sure that no edge is there."""
    while True:
        await publisher.publish("news", "created", {"id": 2})
