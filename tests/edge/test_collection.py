"""Garbage collection: connections need none, and are left out of it."""

import asyncio
import functools
import gc
import weakref
from collections.abc import Iterator

import pytest

from pogo.edge import hub
from pogo.edge.collection import ConnectionFreezer
from pogo.edge.connection import Connection
from tests.edge.helpers import Client, eventually, running_edge
from tests.edge.raw import RawClient


@pytest.fixture(name="without_collection")
def _without_collection() -> Iterator[None]:
    """Leave it to reference counts alone to free anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(name="frozen")
def _frozen() -> Iterator[None]:
    """Be a process that has frozen what it began with."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Node:
    """Something that only a collector frees."""

    def __init__(self) -> None:
        self.itself = self


def _is_collected(node: Node) -> bool:
    """Whether the collector looks at it."""
    return any(one is node for one in gc.get_objects())


def _connections() -> int:
    return sum(isinstance(one, Connection) for one in gc.get_objects())


@pytest.mark.usefixtures("without_collection")
async def test_closed_connections_are_freed_at_once() -> None:
    """No cycle keeps a connection, whoever closed it and whatever it was subscribed to."""
    async with running_edge(max_write_buffer=300_000) as edge:
        async with Client(edge.url()) as client, RawClient(edge.server.port) as vanishing:
            await client.subscribe("news")
            await client.subscribe("presence-room", "a")
            await client.subscribe("private-cache-prices")
            await client.expect("pusher:cache_miss")
            await client.signin('{"id":"a"}')
            await client.expect("pusher:signin_success")
            await vanishing.subscribe("news")
            await edge.publish("news", "created")
            await client.expect("created")
            assert 2 == _connections()
            vanishing.reset()
            await eventually(lambda: _connections() == 1)
        async with RawClient(edge.server.port) as refused:
            # A binary message: closed by the edge.
            await refused.write(b"\x82\x80\0\0\0\0")
            await refused.close_code()
        async with RawClient(edge.server.port) as unfinished:
            await unfinished.write(b"\x81\xfe\x01")
        await eventually(lambda: not _connections())


@pytest.mark.usefixtures("frozen")
async def test_connections_are_frozen() -> None:
    """Whenever enough have come, what there is belongs to no later collection; garbage is gone."""
    freezer = ConnectionFreezer(asyncio.get_running_loop(), every=3)
    for _ in range(2):
        kept, garbage = Node(), weakref.ref(Node())
        for _ in range(2):
            freezer.connected()
        await asyncio.sleep(0)
        assert _is_collected(kept)
        freezer.connected()
        await asyncio.sleep(0)

        assert not _is_collected(kept)
        assert garbage() is None


@pytest.mark.usefixtures("frozen")
async def test_connections_of_an_edge_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge counts those that come."""
    monkeypatch.setattr(hub, "ConnectionFreezer", functools.partial(ConnectionFreezer, every=3))
    async with running_edge() as edge:
        kept = Node()
        for _ in range(2):
            async with RawClient(edge.server.port):
                pass
        assert _is_collected(kept)
        async with RawClient(edge.server.port):
            await eventually(lambda: not _is_collected(kept))


@pytest.mark.usefixtures("frozen", "without_collection")
async def test_collection_that_is_turned_off_stays_off() -> None:
    """Whoever did that knows why."""
    garbage = weakref.ref(Node())
    freezer = ConnectionFreezer(asyncio.get_running_loop(), every=1)
    freezer.connected()
    await asyncio.sleep(0)

    assert garbage() is not None


async def test_a_process_that_has_frozen_nothing_is_left_alone() -> None:
    """What embeds an edge decides for itself."""
    assert 0 == gc.get_freeze_count()
    freezer = ConnectionFreezer(asyncio.get_running_loop(), every=1)
    freezer.connected()
    await asyncio.sleep(0)

    assert 0 == gc.get_freeze_count()
