"""The bounded queues between callers and the bus."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from pogo.broker.call import Call
from pogo.broker.status import Outcome, StatusCode
from pogo.bus import Message
from pogo.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait: in one shard, and in all of them together."""

    shard_messages: int
    shard_bytes: int
    broker_messages: int
    broker_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Take the limits from the settings."""
        return cls(
            settings.shard_queue_size,
            settings.shard_queue_bytes,
            settings.broker_queue_size,
            settings.broker_queue_bytes,
        )


class Queued(NamedTuple):
    """One message that waits, and whom to answer."""

    message: Message
    shard: "Shard"
    call: Call
    event: int
    """Where in the call the event is that the message belongs to."""
    since: float


class Load:
    """What waits somewhere, and may. A message counts until it is answered, also in flight."""

    __slots__ = ("bytes", "max_bytes", "max_messages", "messages")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.messages = 0
        self.bytes = 0
        self.max_messages = max_messages
        self.max_bytes = max_bytes

    def has_room(self, messages: int, size: int) -> bool:
        """Whether so many more messages, of so many bytes together, stay within the bounds."""
        return self.messages + messages <= self.max_messages and self.bytes + size <= self.max_bytes

    def add(self, messages: int, size: int) -> None:
        """Count more; with negative figures, less."""
        self.messages += messages
        self.bytes += size


class Shard:
    """One ordered queue. A channel always uses the same one, and one worker empties it."""

    __slots__ = ("load", "queue", "ready")

    def __init__(self, limits: Limits, ready: asyncio.Event) -> None:
        self.load = Load(limits.shard_messages, limits.shard_bytes)
        self.queue: deque[Queued] = deque()
        # Wakes the worker of this shard.
        self.ready = ready


class ShardQueues:
    """All shards of one broker, and the bounds over them.

    A queue that is full refuses what comes (the newest), and the caller knows at once.
    """

    def __init__(self, num_shards: int, num_workers: int, limits: Limits) -> None:
        # Shard n belongs to worker n % num_workers.
        wakers = [asyncio.Event() for _ in range(num_workers)]
        self.shards = [Shard(limits, wakers[n % num_workers]) for n in range(num_shards)]
        self.load = Load(limits.broker_messages, limits.broker_bytes)
        self._empty = asyncio.Event()
        self._empty.set()

    def enqueue(self, messages: Sequence[Message], call: Call, index: int) -> Outcome | None:
        """Queue the messages of one event: all of them, or none and return why.

        The shards are judged before the whole, so that a hot channel is told from a broker that is
        overloaded at large.
        """
        by_shard: dict[Shard, list[Message]] = {}
        for message in messages:
            number = crc32(message.subject.encode()) % len(self.shards)
            by_shard.setdefault(self.shards[number], []).append(message)
        sizes = {shard: _size(own) for shard, own in by_shard.items()}
        if not all(shard.load.has_room(len(own), sizes[shard]) for shard, own in by_shard.items()):
            return SHARD_QUEUE_FULL
        total = sum(sizes.values())
        if not self.load.has_room(len(messages), total):
            return BROKER_QUEUE_FULL
        now = asyncio.get_running_loop().time()
        for shard, own in by_shard.items():
            shard.queue.extend([Queued(message, shard, call, index, now) for message in own])
            shard.load.add(len(own), sizes[shard])
            shard.ready.set()
        self.load.add(len(messages), total)
        self._empty.clear()
        call.expect(len(messages))
        return None

    def answer(self, item: Queued, failure: Outcome | None) -> None:
        """Tell the caller what became of one message (`None`: the bus has it), and forget it."""
        size = len(item.message.payload)
        item.shard.load.add(-1, -size)
        self.load.add(-1, -size)
        if not self.load.messages:
            self._empty.set()
        item.call.settle(item.event, failure)

    async def emptied(self) -> None:
        """Wait until everything is answered."""
        await self._empty.wait()


def _size(messages: Sequence[Message]) -> int:
    return sum([len(message.payload) for message in messages])


SHARD_QUEUE_FULL = Outcome(StatusCode.SHARD_QUEUE_FULL, "the queue of the channel's shard is full")
BROKER_QUEUE_FULL = Outcome(StatusCode.BROKER_QUEUE_FULL, "the broker's queues are full")
