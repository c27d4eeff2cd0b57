"""The one path that all publishing goes through, whichever way an event came."""

import asyncio
import contextlib
import functools
import itertools
import secrets
from collections.abc import Sequence

from pogo.broker.apps import AppDirectory
from pogo.broker.cache import ROOM, CacheWorker
from pogo.broker.call import Call
from pogo.broker.checks import EventChecks
from pogo.broker.events import Event
from pogo.broker.live_edges import LiveEdges
from pogo.broker.metrics import BrokerMetrics, DropReason
from pogo.broker.queues import Limits, ShardQueues, is_cached
from pogo.broker.status import Outcome
from pogo.broker.workers import PublishWorker
from pogo.bus import Bus, Message, channel_subject
from pogo.pusher.frames import encode_data, encode_event
from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.rpc.v1.status import StatusCode
from pogo.settings import Settings

_NO_APP = Outcome(StatusCode.HUB_MISSING, "there is no such app, or it is disabled")
_NO_EDGE = Outcome(StatusCode.HUB_MISSING, "no edge is alive")
_BUS_DOWN = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the bus is not connected: not sent")
_STOPPED = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the broker is shutting down: not sent")
_QUEUE_FULL: dict[StatusCode, DropReason] = {
    StatusCode.SHARD_QUEUE_FULL: "shard_queue_full",
    StatusCode.BROKER_QUEUE_FULL: "broker_queue_full",
}

MAX_ESCAPE = 6
"""Bytes that JSON takes for one character at the most: `\\u0000`."""

FRAME = 2048
"""Bytes that a delivery has at the most beside its event's name and data."""

SUBJECT_CACHE = 8192
"""Channels whose encoded subject is remembered (some hundred bytes each), the most recent ones."""

_subject = functools.lru_cache(SUBJECT_CACHE)(channel_subject)


class Publisher:
    """Judges events, queues their deliveries, and answers when the bus has them.

    The first rule that an event breaks is its status, in this order: the app (1), a live edge (1),
    the channels of a BroadcastMulti (7), each channel's name (2), the event's name (3), the size of
    the data (4), its JSON (5), the bus (6), the size of the delivery made of it (4), the shard's
    queue (9), the broker's queues (8). What passes them is published, and confirmed or not (6).

    What cache channels remember is in `cache`: the caller's, started and closed like the bus. If
    not given, it is the publisher's own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        apps: AppDirectory,
        bus: Bus,
        live_edges: LiveEdges,
        metrics: BrokerMetrics,
        cache: Records | None = None,
    ) -> None:
        self._apps = apps
        self._bus = bus
        self._live_edges = live_edges
        self._metrics = metrics
        self._checks = EventChecks(settings)
        # More workers than shards would have nothing to do.
        workers = min(settings.num_workers, settings.num_shards)
        self._queues = ShardQueues(settings.num_shards, workers, Limits.of(settings))
        self._workers = [
            PublishWorker(self._queues.shards[n::workers], self._queues, bus, metrics)
            for n in range(workers)
        ]
        records = cache or MemoryRecords(settings.cache_bytes)
        self._workers += [
            CacheWorker(
                self._queues.cache_shards[n::workers],
                self._queues,
                bus,
                metrics,
                records=records,
                ttl=settings.cache_ttl,
            )
            for n in range(workers)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        # Events that come without an id are named after the publisher, and numbered: to ask the
        # kernel for randomness for each would be a tenth of what an event of a batch costs.
        self._name = secrets.token_urlsafe(9)
        self._numbers = itertools.count()
        metrics.watch(self._queues)

    def start(self) -> None:
        """Start the workers."""
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers]

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 (running out is no error)
        """Wait until all that was accepted is answered, or `timeout` seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._queues.emptied()

    async def stop(self) -> None:
        """Stop the workers; what is not answered by now is failed. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in self._workers:
            worker.abandon()

    async def publish(
        self, events: Sequence[Event], *, json_data: bool, since: float | None = None
    ) -> list[Outcome]:
        """Publish events in order, and wait until each is answered: 2 s at the most.

        All of them are queued before anything is awaited. A caller that is cancelled takes nothing
        back.

        Args:
            events: What to publish.
            json_data: Whether the data must be JSON text (status 5), as gRPC's callers were always
                told, or may be any text, as in Pusher's HTTP API.
            since: When the call came, by the event loop's clock; now if not given.

        Returns:
            The outcome of each event, in their order.
        """
        call = Call(len(events), asyncio.get_running_loop().time() if since is None else since)
        no_edge = self._live_edges.none_alive()
        for index, event in enumerate(events):
            refusal = self._accept(event, call, index, no_edge=no_edge, json_data=json_data)
            if refusal is not None:
                call.refuse(index, refusal)
        outcomes = await call.answered()
        self._metrics.answered(outcomes)
        return outcomes

    def judge(self, event: Event, *, json_data: bool) -> Outcome | None:
        """Tell why an event can never be published, whatever the bus and the queues do."""
        channels = list(dict.fromkeys(event.channels))
        refusal = self._checks.judge(event, channels, json_data=json_data)
        if refusal is not None:
            return refusal
        if MAX_ESCAPE * (len(event.data) + len(event.name)) + FRAME < self._bus.max_payload:
            # However it is written, it is small enough.
            return None
        return next(filter(None, map(self._too_large, self._messages(event, channels))), None)

    def _accept(
        self, event: Event, call: Call, index: int, *, no_edge: bool, json_data: bool
    ) -> Outcome | None:
        """Queue one event, or return why it is refused."""
        app = self._apps.by_id(event.app_id)
        if app is None or not app.enabled:
            return _NO_APP
        if no_edge:
            return _NO_EDGE
        channels = event.channels
        if len(channels) > 1:
            channels = list(dict.fromkeys(channels))
        refusal = self._checks.judge(event, channels, json_data=json_data)
        if refusal is not None:
            return refusal
        refusal = self._unable(len(channels))
        if refusal is not None:
            return refusal
        messages = self._messages(event, channels)
        small = self._bus.max_payload - ROOM
        for message in messages:
            if len(message.payload) > small:
                refusal = self._too_large(message)
                if refusal is not None:
                    return refusal
        refusal = self._queues.enqueue(messages, call, index)
        if refusal is not None:
            self._metrics.drop(_QUEUE_FULL[refusal.status], len(messages))
        return refusal

    def _too_large(self, message: Message) -> Outcome | None:
        """Tell whether a delivery has more bytes than the bus takes."""
        limit = self._bus.max_payload - (ROOM if is_cached(message.subject) else 0)
        if len(message.payload) <= limit:
            return None
        return Outcome(
            StatusCode.PAYLOAD_TOO_LARGE,
            f"as it travels, the event has {len(message.payload)} bytes (a control character takes "
            f"six); the bus takes {limit}",
        )

    def _unable(self, messages: int) -> Outcome | None:
        """Tell why nothing can be published at all, before anything is encoded in vain."""
        if not self._tasks:
            self._metrics.drop("shutdown", messages)
            return _STOPPED
        if not self._bus.connected:
            self._metrics.drop("bus_down", messages)
            return _BUS_DOWN
        return None

    def _messages(self, event: Event, channels: Sequence[str]) -> list[Message]:
        """Make one message for each channel; a retried message_id stays what it is."""
        event_id = event.message_id or f"{self._name}{next(self._numbers):012x}"
        # Of a large event, its data is nearly all the work.
        data = event.data if len(channels) == 1 else encode_data(event.data)
        return [
            Message(
                _subject(event.app_id, channel),
                Delivery(
                    payload=encode_event(event.name, channel, data),
                    except_socket_id=event.socket_id,
                    id=event_id,
                ).SerializeToString(),
            )
            for channel in channels
        ]
