import pytest

from pogo.broker.live_edges import LiveEdges
from pogo.registry.keys import node_key
from pogo.registry.memory import MemoryRegistry
from tests.broker.helpers import Clock


class CutRegistry(MemoryRegistry):
    """A memory registry that can be away."""

    connected = True


class PrivateRegistry(MemoryRegistry):
    """A registry that every node has to itself."""

    shared = False


async def follow(registry: MemoryRegistry | None) -> tuple[LiveEdges, Clock]:
    """Follow the nodes of a registry, by a clock."""
    clock = Clock()
    edges = LiveEdges(registry, clock=clock)
    await edges.start()
    return edges, clock


async def test_nobody_is_certain_only_after_six_seconds() -> None:
    """No node in sight means no edge, but only once that has lasted as long as a missing beat."""
    edges, clock = await follow(MemoryRegistry())
    clock.now += 5.9

    assert not edges.none_alive()

    clock.now += 0.1

    assert edges.none_alive()


async def test_one_node_is_enough() -> None:
    """An edge that is there or comes ends the absence, and the end of the last one begins it."""
    registry = MemoryRegistry()
    await registry.put(node_key("edge-1"), b"")
    edges, clock = await follow(registry)
    await registry.put(node_key("edge-2"), b"")
    await registry.delete(node_key("edge-1"))
    clock.now += 60

    assert not edges.none_alive()

    await registry.delete(node_key("edge-2"))

    assert not edges.none_alive()

    clock.now += 6

    assert edges.none_alive()

    await registry.put(node_key("edge-3"), b"")

    assert not edges.none_alive()


@pytest.mark.parametrize("registry", [None, PrivateRegistry()])
async def test_without_a_shared_registry_there_is_doubt(registry: MemoryRegistry | None) -> None:
    """A broker that cannot know publishes."""
    edges, clock = await follow(registry)
    clock.now += 60

    assert not edges.none_alive()


async def test_a_cut_starts_the_clock_anew() -> None:
    """While the registry is away nothing is certain, and afterwards only from its snapshot on."""
    registry = CutRegistry()
    edges, clock = await follow(registry)
    clock.now += 6
    registry.connected = False

    assert not edges.none_alive()

    registry.connected = True
    clock.now += 60

    assert not edges.none_alive()

    edges.snapshot([])

    assert not edges.none_alive()

    clock.now += 6

    assert edges.none_alive()


async def test_stopping_ends_the_watch() -> None:
    """After a stop there is doubt, whatever happens in the registry."""
    registry = MemoryRegistry()
    await registry.put(node_key("edge-1"), b"")
    edges, clock = await follow(registry)
    edges.stop()
    edges.stop()
    await registry.delete(node_key("edge-1"))
    clock.now += 60

    assert not edges.none_alive()
