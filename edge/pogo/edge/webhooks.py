"""What becomes a webhook on the edge where it happens: client events, and misses of cache channels.

They are put into a queue of the webhook store off everyone's path. What the store cannot take waits
here, within bounds; beyond them it is dropped, and counted: nobody waits for webhooks.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pogo.edge.metrics import EdgeMetrics
from pogo.settings import WebhookEvent
from pogo.telemetry import get_logger
from pogo.webhooks import (
    DEDUPLICATION,
    Endpoints,
    Item,
    Queue,
    QueueFullError,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
    encode_client_event,
    encode_event,
    new_event_id,
    shared_event_id,
)

MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Events that may wait for the store on one edge, and their bytes."""

MAX_WAIT = DEDUPLICATION / 2
"""Seconds for which an event waits for a store that is away; after that it is dropped. By then, the
store still knows the ids of those that it has taken without saying so."""

MISS_INTERVAL = 3.0
"""Seconds in which a cache channel is missed once, whoever asks for it on whichever edge: in each
interval of the clock, which nodes should agree on."""

MAX_MISSES = 10_000
"""Channels that are remembered for it. With more of them, the store alone tells repeats."""

_BATCH = 200
_BATCH_BYTES = 256 * 1024
"""Events that the store is given at a time, and their bytes; one of them may have more."""

_RETRY_WAIT = 0.2
_MAX_RETRY_WAIT = 2.0
"""Seconds before the store is asked again: first, and at the most."""

_LOG_INTERVAL = 30.0
"""Seconds between two lines that tell what was dropped."""

DropReason = Literal["buffer_full", "queue_full", "refused", "store_away"]
"""Why an event is lost: there are too many here, or in its endpoint's queue, or the store refused
it, or stayed away for too long."""

_log = get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One event, and for whom."""

    name: WebhookEvent
    channel: str
    queues: Sequence[Queue]
    event_id: str
    since: float
    message: bytes = b""
    """Of a client event: what the other subscribers got."""
    socket_id: str = ""

    @property
    def size(self) -> int:
        """Its bytes, about."""
        return len(self.message) + len(self.channel)

    def items(self) -> list[Item]:
        """Write it, once for all queues."""
        if self.name == "client_event":
            body = encode_client_event(self.message, self.socket_id, self.event_id)
        else:
            body = encode_event(self.name, self.channel, self.event_id)
        return [Item(queue, self.event_id, body) for queue in self.queues]


class EdgeWebhooks:
    """The events of this edge that wait for the store.

    Args:
        endpoints: Who wants to know what.
        store: Started before `run`, closed after it has ended.
        clock: Tells the time of day, in seconds.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        store: WebhookStore,
        metrics: EdgeMetrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoints = endpoints
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        # The interval of the clock, and what was missed in it.
        self._interval = 0
        self._missed: set[tuple[str, str]] = set()
        # Since when nothing was logged, and what was dropped meanwhile.
        self._logged_at = -_LOG_INTERVAL
        self._dropped = 0
        for reason in get_args(DropReason):
            metrics.webhook_events_dropped.labels(reason)
        metrics.gauge(
            "edge_webhook_events_waiting",
            "Client events and cache misses that wait for the webhook store.",
            lambda: len(self._waiting),
        )

    def client_event(self, app_id: str, channel: str, message: bytes, socket_id: str) -> None:
        """Take a client event that the bus has taken: the message that others get of it."""
        queues = self._endpoints.matching(app_id, "client_event", channel)
        if queues:
            now = self._loop.time()
            event_id = new_event_id()
            self._add(_Waiting("client_event", channel, queues, event_id, now, message, socket_id))

    def cache_missed(self, app_id: str, channel: str) -> None:
        """Take that somebody asked for a cache channel which remembers nothing."""
        queues = self._endpoints.matching(app_id, "cache_miss", channel)
        if not queues:
            return
        interval = int(self._clock() // MISS_INTERVAL)
        if interval != self._interval:
            self._interval = interval
            self._missed.clear()
        if (app_id, channel) in self._missed:
            return
        if len(self._missed) < MAX_MISSES:
            self._missed.add((app_id, channel))
        event_id = shared_event_id("cache_miss", channel, interval)
        self._add(_Waiting("cache_miss", channel, queues, event_id, self._loop.time()))

    async def run(self) -> None:
        """Give the store what waits, for ever."""
        pause = _RETRY_WAIT
        while True:
            if not self._waiting:
                self._empty.set()
                self._wake.clear()
                await self._wake.wait()
            if await self._store_some():
                pause = _RETRY_WAIT
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MAX_RETRY_WAIT)

    async def flush(self, within: float) -> None:
        """Wait until the store has everything, `within` seconds at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._empty.wait()

    def abandon(self) -> None:
        """Give up what waits, once `run` has ended."""
        self._drop("store_away", len(self._waiting))
        self._waiting.clear()
        self._bytes = 0

    def _add(self, event: _Waiting) -> None:
        if len(self._waiting) >= MAX_EVENTS or self._bytes + event.size > MAX_BYTES:
            self._drop("buffer_full", 1)
            return
        self._waiting.append(event)
        self._bytes += event.size
        self._empty.clear()
        self._wake.set()

    async def _store_some(self) -> bool:
        """Give the store the first of what waits; returns whether it did what it was asked."""
        batch = self._first()
        items = [event.items() for event in batch]
        outcomes = await self._store.enqueue([item for written in items for item in written])
        results = iter(outcomes)
        done = 0
        for event, written in zip(batch, items, strict=True):
            errors = [error for _, error in zip(written, results, strict=False) if error]
            is_away = any(isinstance(error, StoreUnavailableError) for error in errors)
            if is_away and self._loop.time() - event.since < MAX_WAIT:
                # What the store has of it, and of those behind it, it knows by their ids.
                break
            for error in errors:
                self._drop(_reason(error), 1)
            done += 1
        for _ in range(done):
            self._bytes -= self._waiting.popleft().size
        return done == len(batch)

    def _first(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        for event in self._waiting:
            size += event.size
            if batch and (len(batch) == _BATCH or size > _BATCH_BYTES):
                break
            batch.append(event)
        return batch

    def _drop(self, reason: DropReason, events: int) -> None:
        """Count what is lost, and say so now and then."""
        if not events:
            return
        self._metrics.webhook_events_dropped.labels(reason).inc(events)
        self._dropped += events
        now = self._loop.time()
        if now - self._logged_at >= _LOG_INTERVAL:
            _log.warning("webhooks dropped", events=self._dropped, reason=reason)
            self._logged_at = now
            self._dropped = 0


def _reason(error: WebhookStoreError) -> DropReason:
    if isinstance(error, QueueFullError):
        return "queue_full"
    return "store_away" if isinstance(error, StoreUnavailableError) else "refused"
