"""What goes is freed at once: nothing of it waits for the collector, which looks for it seldom."""

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

from websockets.server import ServerProtocol

from pogo.edge.channel import Channel
from pogo.edge.counts import ChannelCount, CountHere, Pace
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, eventually, running_edge
from tests.edge.raw import RawClient

COUNTED = {"id": APP, "key": KEY, "secret": SECRET, "subscription_count": True}
KINDS = (Channel, ChannelCount, CountHere, Pace)


def _alive() -> Counter[str]:
    """Count what there is of channels, and of readers of frames."""
    objects = gc.get_objects()
    kinds = [type(one) for one in objects if type(one) in KINDS]
    # Readers of handshakes are young when they end: the collector finds them soon.
    readers = [one for one in objects if type(one) is ServerProtocol and not one.accept_called]
    return Counter(kind.__name__ for kind in [*kinds, *map(type, readers)])


@contextlib.contextmanager
def collected() -> Iterator[Counter[str]]:
    """Yield a counter of what only the collector frees in the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        before = _alive()
        gc.collect()
        found.update(before - _alive())
    finally:
        gc.enable()


async def _visit(edge: Edge) -> None:
    """Subscribe and leave: with a closing handshake, within a frame, and after a violation."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
    async with RawClient(edge.server.port) as raw:
        await raw.subscribe("news")
        await raw.write(b"\x81")
    async with RawClient(edge.server.port) as violating:
        # A frame of a kind that there is not.
        await violating.write(b"\x83\x80\0\0\0\0")
        await violating.close_code()
    await eventually(lambda: not edge.metric("connections_active"))
    await eventually(lambda: not edge.metric("channels_active"))


async def test_clients_leave_no_garbage() -> None:
    """Neither channels that are counted nor readers of frames refer to themselves in the end."""
    async with running_edge(apps=[COUNTED]) as edge:
        await _visit(edge)
        with collected() as found:
            await _visit(edge)
    assert Counter() == found
