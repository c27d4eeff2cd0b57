"""The bounded queues between callers and the bus."""

import asyncio
import dataclasses
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from pogo.broker.call import Call
from pogo.broker.status import Outcome
from pogo.bus import Message
from pogo.pusher.channels import channel_kind
from pogo.rpc.v1.status import StatusCode
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
    alone: bool
    """Whether it is the event's only message."""


class Load:
    """What waits somewhere, and may. A message counts until it is answered, also in flight."""

    __slots__ = ("bytes", "max_bytes", "max_messages", "messages")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.messages = 0
        self.bytes = 0
        self.max_messages = max_messages
        self.max_bytes = max_bytes

    def take(self, messages: int, size: int) -> bool:
        """Count so many messages of so many bytes together, if that is within the bounds."""
        if self.messages + messages > self.max_messages or self.bytes + size > self.max_bytes:
            return False
        self.messages += messages
        self.bytes += size
        return True

    def give(self, size: int) -> None:
        """Count one message less."""
        self.messages -= 1
        self.bytes -= size


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

    A queue that is full refuses what comes (the newest), and the caller knows at once. There are as
    many shards for cache channels as for all others: what waits for the cache is in nobody's way.
    """

    def __init__(self, num_shards: int, num_workers: int, limits: Limits) -> None:
        self.shards = _make_shards(num_shards, num_workers, limits)
        self.cache_shards = _make_shards(num_shards, num_workers, limits)
        self.load = Load(limits.broker_messages, limits.broker_bytes)
        self._empty = asyncio.Event()
        self._empty.set()

    def enqueue(self, messages: Sequence[Message], call: Call, event: int) -> Outcome | None:
        """Queue the messages of one event: all of them, or none and return why.

        The shards are judged before the whole, so that a hot channel is told from a broker that is
        overloaded at large.
        """
        placed: list[Queued] = []
        alone = len(messages) == 1
        total = 0
        refusal: Outcome | None = None
        for message in messages:
            subject = message.subject
            # Nearly all channels are told by the first test.
            caches = "cache-" in subject and is_cached(subject)
            shards = self.cache_shards if caches else self.shards
            shard = shards[crc32(subject.encode()) % len(shards)]
            size = len(message.payload)
            if not shard.load.take(1, size):
                refusal = SHARD_QUEUE_FULL
                break
            placed.append(Queued(message, shard, call, event, alone))
            total += size
        if refusal is None and not self.load.take(len(placed), total):
            refusal = BROKER_QUEUE_FULL
        if refusal is not None:
            for item in placed:
                item.shard.load.give(len(item.message.payload))
            return refusal
        for item in placed:
            item.shard.queue.append(item)
            item.shard.ready.set()
        self._empty.clear()
        call.expect(len(placed))
        return None

    def answer(self, item: Queued, failure: Outcome | None) -> None:
        """Tell the caller what became of one message (`None`: the bus has it), and forget it."""
        if failure is not None and not item.alone:
            # The event's other messages may have been published.
            failure = dataclasses.replace(failure, in_doubt=True)
        size = len(item.message.payload)
        item.shard.load.give(size)
        self.load.give(size)
        if not self.load.messages:
            self._empty.set()
        item.call.settle(item.event, failure)

    async def emptied(self) -> None:
        """Wait until everything is answered."""
        await self._empty.wait()


def is_cached(subject: str) -> bool:
    """Whether the deliveries on a subject belong to a cache channel."""
    # A prefix is the same in a subject as in a name.
    return channel_kind(subject.rpartition(".")[2]).is_cache


def _make_shards(num_shards: int, num_workers: int, limits: Limits) -> list[Shard]:
    """Make shards, of which the nth belongs to worker n % num_workers."""
    wakers = [asyncio.Event() for _ in range(num_workers)]
    return [Shard(limits, wakers[n % num_workers]) for n in range(num_shards)]


SHARD_QUEUE_FULL = Outcome(StatusCode.SHARD_QUEUE_FULL, "the queue of the channel's shard is full")
BROKER_QUEUE_FULL = Outcome(StatusCode.BROKER_QUEUE_FULL, "the broker's queues are full")
