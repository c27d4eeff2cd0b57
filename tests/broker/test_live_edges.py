import asyncio

import pytest

from pogo.broker.live_edges import LiveEdges
from pogo.cluster import BROKER, EDGE, Membership, Timing
from pogo.registry import Write
from pogo.registry.keys import nodes_topic
from pogo.registry.memory import MemoryRegistry
from tests.broker.helpers import living_edge, until

QUICK = Timing(beat=0.04, dead_after=0.12)


class CutRegistry(MemoryRegistry):
    """A memory registry that can be away."""

    connected = True


@pytest.fixture(name="registry")
def _registry() -> CutRegistry:
    return CutRegistry()


async def follow(registry: MemoryRegistry) -> tuple[LiveEdges, Membership]:
    """Follow the edges of a registry as a broker does."""
    broker = Membership(registry, BROKER, "broker", ready=True, timing=QUICK)
    edges = LiveEdges(broker)
    broker.start()
    await until(lambda: broker.is_settled)
    return edges, broker


async def test_nobody_is_certain_only_after_a_while(registry: CutRegistry) -> None:
    """No node in sight means no edge, but only once that has lasted as long as a missing beat."""
    edges, broker = await follow(registry)

    assert not edges.none_alive()

    started = asyncio.get_running_loop().time()
    await until(edges.none_alive)
    assert asyncio.get_running_loop().time() - started > QUICK.dead_after / 2
    await broker.leave()


async def test_one_edge_is_enough(registry: CutRegistry) -> None:
    """While an edge beats there is one; after its end there is none, until one comes."""
    edges, broker = await follow(registry)
    async with living_edge(registry, QUICK):
        for _ in range(50):
            await asyncio.sleep(QUICK.dead_after / 20)
            assert not edges.none_alive()
        assert 1 == len(edges)
    await until(edges.none_alive)
    async with living_edge(registry, QUICK):
        await until(lambda: not edges.none_alive())
    await broker.leave()


async def test_a_dead_edge_is_none(registry: CutRegistry) -> None:
    """An edge that stands still is declared dead, by a broker too, and is then no edge."""
    edges, broker = await follow(registry)
    await registry.write([Write(f"{nodes_topic(EDGE)}.edge-1.-", b'{"process":"edge"}')])

    assert 1 == len(edges)
    await until(edges.none_alive)
    assert 0 == len(edges)
    await broker.leave()


async def test_a_cut_starts_the_clock_anew(registry: CutRegistry) -> None:
    """While the registry is away nothing is certain."""
    edges, broker = await follow(registry)
    await until(edges.none_alive)
    registry.connected = False

    assert not edges.none_alive()
    await broker.leave()
