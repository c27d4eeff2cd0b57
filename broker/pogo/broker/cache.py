"""The last event of each cache channel: recorded before it is published, and read when asked for.

Cache channels have shards and workers of their own, since these wait for the records as well as for
the bus: while the records are slow or away, no other channel waits with them.

An edge reads the record when somebody subscribes, and hears what is published from then on. So that
it can tell what of that is older than the record, each delivery carries the record's revision.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from google.protobuf.message import DecodeError

from pogo.broker.metrics import BrokerMetrics
from pogo.broker.queues import Queued, Shard, ShardQueues
from pogo.broker.status import Outcome
from pogo.broker.workers import MAX_WAIT, PublishWorker
from pogo.bus import Bus, Message, channel_subject
from pogo.records import CONFIRM_TIMEOUT, Records, RecordsError, Write
from pogo.rpc.v1.delivery_pb2 import CachedEvent, Delivery
from pogo.rpc.v1.status import StatusCode

ROOM = 256
"""Bytes that a delivery on a cache channel stays below what the bus takes: the revision that it
gets, and what its record has beside it."""

_LATE = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the cache is too slow: not sent")


class CacheWorker(PublishWorker):
    """Serves shards of cache channels, alone: the records have an event before the bus gets it.

    Of several events of one batch on one channel only the last is recorded. Where the record is
    not confirmed, none of them is published. An event that was recorded and not published may
    still be what new subscribers begin with.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        queues: ShardQueues,
        bus: Bus,
        metrics: BrokerMetrics,
        *,
        records: Records,
        ttl: int,
    ) -> None:
        """Record events for `ttl` seconds."""
        super().__init__(shards, queues, bus, metrics)
        self._records = records
        self._ttl = ttl

    async def _publish(self) -> None:
        """Record what is in flight, and publish it; half a second for the one, one for the other.

        Whoever stood still meanwhile publishes nothing: others may have been told that it was not.
        """
        last = {item.message.subject: item.message for item in self._in_flight}
        writes = [_write(message, self._ttl) for message in last.values()]
        results = dict(zip(last, await self._records.write(writes), strict=True))
        oldest = asyncio.get_running_loop().time() - MAX_WAIT - CONFIRM_TIMEOUT
        in_flight, self._in_flight = self._in_flight, []
        messages: list[Message] = []
        for item in in_flight:
            result = results[item.message.subject]
            if not isinstance(result, int):
                self._fail([item], _refusal(result), "uncached")
            elif item.call.since < oldest:
                self._fail([item], _LATE, "late")
            else:
                self._in_flight.append(item)
                messages.append(_stamped(item, result))
        if messages:
            await self._commit(messages)


@dataclass(frozen=True, slots=True)
class CachedData:
    """What a cache channel remembers, as the HTTP API tells it."""

    data: str
    """The event's data, as it was published."""
    ttl: int
    """Seconds for which it is remembered yet; 1 at least."""


class _Payload(msgspec.Struct):
    data: str


_decode = msgspec.json.Decoder(_Payload).decode


class CachedEvents:
    """Reads what cache channels remember."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def get(self, app_id: str, channel: str) -> CachedData | None:
        """Return the last event of a channel; `None` where there is none any more.

        Raises:
            RecordsError: The records are away, did not answer in time, or hold something else.
        """
        (record,) = await self._records.get([channel_subject(app_id, channel)])
        if record is None:
            return None
        try:
            cached = CachedEvent.FromString(record.value)
            data = _decode(cached.payload).data
        except (DecodeError, msgspec.DecodeError) as error:
            raise RecordsError(f"the record of {channel} is no event") from error
        left = cached.expires_at_ms / 1000 - time.time()
        return CachedData(data, math.ceil(left)) if left > 0 else None


def _write(message: Message, ttl: int) -> Write:
    """Write the record of an event, in place of whichever there is."""
    delivery = Delivery.FromString(message.payload)
    cached = CachedEvent(
        payload=delivery.payload, id=delivery.id, expires_at_ms=int((time.time() + ttl) * 1000)
    )
    return Write(message.subject, cached.SerializeToString(), ttl, None)


def _stamped(item: Queued, revision: int) -> Message:
    """Add the record's revision to a delivery: fields behind it are fields of it."""
    stamp = Delivery(cache_revision=revision).SerializeToString()
    return Message(item.message.subject, item.message.payload + stamp)


def _refusal(error: RecordsError) -> Outcome:
    detail = f"the cache did not take it ({error}): not sent"
    return Outcome(StatusCode.BROKER_PUBLISH_FAILED, detail)
