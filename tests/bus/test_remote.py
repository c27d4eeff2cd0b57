import asyncio

from pogo.bus.connection import BusConnection
from pogo.bus.nats import NatsBus
from tests.bus.helpers import elapsed
from tests.servers import NatsServer


class _StubbornBus(NatsBus):
    """Connects even if it is cancelled meanwhile, as a library may that swallows a cancellation."""

    def __init__(self, url: str) -> None:
        super().__init__([url])
        self.opening = asyncio.Event()
        self.opened: BusConnection | None = None

    async def _open(self) -> BusConnection:
        self.opening.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.opened = await super()._open()
            return self.opened
        raise AssertionError("nobody closed the bus")


async def test_closing_while_connecting(nats_server: NatsServer) -> None:
    """Closing ends an attempt, and the connection too if the attempt succeeds all the same."""
    bus = _StubbornBus(nats_server.url)
    starting = asyncio.create_task(bus.start())
    await bus.opening.wait()

    assert await elapsed(bus.close()) < 1.0
    assert bus.opened is not None
    assert bus.opened.lost.result() == "closed"
    await starting
    assert not bus.connected
