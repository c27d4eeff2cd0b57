"""Servers that a bus and records can be on, and brokers that share one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pogo.broker.message_ids import LIFETIMES, Lifetimes
from pogo.bus import Bus
from pogo.bus.nats import NatsBus
from pogo.bus.redis import RedisBus, RedisOptions
from pogo.records import Records
from pogo.records.nats import NatsRecords
from pogo.records.redis import RedisRecords
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.settings import Settings
from tests.broker.helpers import RunningBroker, listen, request, running_broker, until
from tests.servers import HOST, NatsServer, RedisServer, ServerProcess

Kind = Literal["nats", "redis"]

BUCKET = "pogo_messages"


@dataclass(frozen=True)
class Place:
    """A port of this machine where a server of this kind is, or is reached."""

    kind: Kind
    port: int

    def bus(self) -> Bus:
        """Make a bus on it."""
        if self.kind == "nats":
            return NatsBus([f"nats://{HOST}:{self.port}"])
        return RedisBus(RedisOptions(port=self.port))

    def records(self) -> Records:
        """Make records on it."""
        if self.kind == "nats":
            return NatsRecords([f"nats://{HOST}:{self.port}"], BUCKET)
        return RedisRecords(RedisOptions(port=self.port), BUCKET)


@dataclass(frozen=True)
class Apart(Place):
    """A place whose records are on a redis-server of their own."""

    records_port: int

    def records(self) -> Records:
        """Make records there."""
        return RedisRecords(RedisOptions(port=self.records_port), BUCKET)


def make_server(kind: Kind, directory: Path) -> ServerProcess:
    """Make a server that is not started yet."""
    return NatsServer(directory) if kind == "nats" else RedisServer(directory)


@contextlib.asynccontextmanager
async def broker_at(
    place: Place, settings: Settings | None = None, *, lifetimes: Lifetimes = LIFETIMES
) -> AsyncIterator[RunningBroker]:
    """Run a broker whose bus and records are there."""
    async with contextlib.AsyncExitStack() as stack:
        bus, records = place.bus(), place.records()
        for part in (bus, records):
            await part.start()
            stack.push_async_callback(part.close)
        yield await stack.enter_async_context(
            running_broker(bus, settings, records=records, lifetimes=lifetimes)
        )


@contextlib.asynccontextmanager
async def subscriber(place: Place, channel: str = "news") -> AsyncIterator[list[Delivery]]:
    """Gather what is delivered on a channel, by a connection of its own."""
    bus = place.bus()
    await bus.start()
    try:
        heard = listen(bus, channel)
        await bus.flush()
        yield heard
    finally:
        await bus.close()


async def ids(heard: list[Delivery], broker: RunningBroker) -> list[str]:
    """Return the message ids that were delivered, once all that is on its way has come."""
    last = f"last-{len(heard)}"
    async with asyncio.timeout(10):
        while (await broker.publish(request(message_id=last))).status:
            pass
    await until(lambda: any(delivery.id == last for delivery in heard))
    return [delivery.id for delivery in heard if not delivery.id.startswith("last-")]
