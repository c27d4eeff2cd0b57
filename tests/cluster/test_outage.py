"""The server of bus and registry is away, or all edges are: who says so, and when it is over."""

import asyncio
import json
from functools import partial

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes
from tests.servers import NatsServer, RedisServer

NOTICED_WITHIN = 5.0
HUB_MISSING = 1
GAUGES = ("edge_bus_connected", "edge_registry_connected")
LOST, MADE = "registry connection lost", "registry connected"


async def gauges_become(value: float, edge: Node) -> None:
    """Wait until an edge's metrics say that bus and registry are there (1), or not (0)."""
    for name in GAUGES:
        await becomes(value, partial(edge.metric, name), NOTICED_WITHIN)


@pytest.mark.parametrize("is_empty", [False, True], ids=["full", "empty"])
async def test_server_is_away(
    cluster: Cluster, server: NatsServer | RedisServer, *, is_empty: bool
) -> None:
    """Edges without their server say so and why, log it once, and recover when it is back."""
    before = [(len(edge.logged(LOST)), len(edge.logged(MADE))) for edge in cluster.edges]
    await server.stop()
    for edge in cluster.edges:
        await becomes(503, edge.status, NOTICED_WITHIN)
        await gauges_become(0.0, edge)
        _, text = await edge.health()
        assert "down" in json.loads(text)["reason"]
    await asyncio.sleep(2.0)  # in which edges try in vain
    if is_empty:
        server.forget()
    await server.start()
    for edge in cluster.edges:
        await becomes(200, edge.status, NOTICED_WITHIN)
        await gauges_become(1.0, edge)

    after = [(len(edge.logged(LOST)), len(edge.logged(MADE))) for edge in cluster.edges]
    assert [(lost + 1, made + 1) for lost, made in before] == after


async def test_nobody_to_deliver_to(cluster: Cluster) -> None:
    """Publishers are told soon after the last edge has died, and when there is one again."""
    await becomes(0, lambda: cluster.published("room"), NOTICED_WITHIN)
    for edge in cluster.edges:
        edge.kill()
    await becomes(HUB_MISSING, lambda: cluster.published("room"), 10.0)
    await cluster.edges[0].start()

    await becomes(0, lambda: cluster.published("room"), NOTICED_WITHIN)
