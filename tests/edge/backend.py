"""A back end's events on cache channels, recorded and then published, as a broker does it."""

import asyncio
from collections.abc import Sequence

from pogo.bus import Bus, Message, channel_subject
from pogo.pusher.frames import encode_event
from pogo.records import Record, Records, Write
from pogo.records.memory import MemoryRecords
from pogo.rpc.v1.delivery_pb2 import CachedEvent, Delivery
from tests.edge.helpers import APP

EVENT = "price"
"""The name of all of these events; their data is a number."""


class Backend:
    """Records and publishes the event with a number."""

    def __init__(self, bus: Bus, records: Records, *, ttl: int = 60) -> None:
        self._bus = bus
        self._records = records
        self._ttl = ttl

    async def record(self, channel: str, data: str, event_id: str = "") -> int:
        """Have an event remembered; returns the record's revision."""
        cached = CachedEvent(payload=encode_event(EVENT, channel, data), id=event_id or data)
        subject = channel_subject(APP, channel)
        (revision,) = await self._records.write(
            [Write(subject, cached.SerializeToString(), self._ttl, None)]
        )
        assert isinstance(revision, int)
        return revision

    async def deliver(
        self, channel: str, data: str, revision: int, *, event_id: str = "", exclude: str = ""
    ) -> None:
        """Publish an event under the revision of a record."""
        delivery = Delivery(
            payload=encode_event(EVENT, channel, data),
            id=event_id or data,
            cache_revision=revision,
            except_socket_id=exclude,
        )
        message = Message(channel_subject(APP, channel), delivery.SerializeToString())

        assert [None] == await self._bus.publish([message])

    async def publish(self, channel: str, data: str, *, exclude: str = "") -> int:
        """Have an event remembered, and publish it."""
        revision = await self.record(channel, data)
        await self.deliver(channel, data, revision, exclude=exclude)
        return revision


class WatchedRecords(MemoryRecords):
    """Records in memory that keep what was read, and read nothing while they are held up."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[list[str]] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read, as things are when the question comes, and answer when the gate is open."""
        self.reads.append(list(keys))
        found = await super().get(keys)
        self.arrived.set()
        await self.gate.wait()
        return found
