"""The channels that are open on this edge, each with its subject on the bus.

It owns their interest on the bus: from when it is stated, over when the bus is known to have it, to
its end, and what is done with each delivery meanwhile. Whoever subscribes to a channel is none of
its business (see `pogo.edge.subscriptions`).
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError

from pogo.bus import Bus, BusUnavailableError, channel_subject
from pogo.edge.cache import Caches
from pogo.edge.channel import Channel
from pogo.edge.channel_cache import ChannelCache
from pogo.edge.connection import Connection
from pogo.edge.fanout import Fanout
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.websocket import frame_text
from pogo.pusher.channels import ChannelKind
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.telemetry import get_logger

_log = get_logger()

_RETRY_WAIT = 0.1
"""Seconds before a bus that did not confirm is asked again."""


class ChannelTable:
    """The open channels, by the ids of their apps and by their names.

    Args:
        bus: Where deliveries come from.
        connections: The open connections by socket id, as they are at any time: a delivery names
            the one that must not get it.
        caches: What the cache channels among them remember.
        max_backlog: Bytes of events that may wait in one channel.
    """

    def __init__(
        self,
        bus: Bus,
        metrics: EdgeMetrics,
        *,
        connections: Mapping[str, Connection],
        caches: Caches,
        max_backlog: int,
    ) -> None:
        self._bus = bus
        self._metrics = metrics
        self._connections = connections
        self._caches = caches
        self._max_backlog = max_backlog
        self._fanout = Fanout(asyncio.get_running_loop())
        self._channels: dict[tuple[str, str], Channel] = {}
        # Channels whose subscription the bus may not have yet.
        self._unready: dict[Channel, None] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """The number of channels that are open."""
        return len(self._channels)

    def __iter__(self) -> Iterator[Channel]:
        """Go through the channels; none may be opened or closed meanwhile."""
        return iter(self._channels.values())

    def __getitem__(self, key: tuple[str, str]) -> Channel:
        return self._channels[key]

    def get(self, app_id: str, name: str) -> Channel | None:
        """Find a channel, if it is open."""
        return self._channels.get((app_id, name))

    def of_app(self, app_id: str) -> list[Channel]:
        """Return the channels of an app."""
        return [channel for channel in self._channels.values() if channel.app_id == app_id]

    def open(self, app_id: str, name: str, kind: ChannelKind) -> Channel:
        """Begin to hear a channel, which is ready when `confirmed` says so."""
        channel = Channel(
            app_id,
            name,
            fanout=self._fanout,
            metrics=self._metrics,
            max_backlog=self._max_backlog,
        )
        if kind.is_cache:
            receive = self._cache_receiver(channel, self._caches.open(channel))
        else:
            receive = self._receiver(channel)
        channel.subscription = self._bus.subscribe(channel_subject(app_id, name), receive)
        self._channels[app_id, name] = channel
        self._unready[channel] = None
        self._wake.set()
        return channel

    def close(self, channel: Channel) -> None:
        """Hear a channel no more."""
        assert channel.subscription is not None
        self._bus.unsubscribe(channel.subscription)
        channel.subscription = None
        self._unready.pop(channel, None)
        self._caches.close(channel)
        del self._channels[channel.app_id, channel.name]

    async def confirmed(self) -> Iterator[Channel]:
        """Wait for the bus to have channels: one flush for all that were opened in one turn.

        Each becomes ready when it is taken from what is returned, unless it was closed before.
        """
        while True:
            if not self._unready:
                self._wake.clear()
                await self._wake.wait()
            channels = list(self._unready)
            try:
                await self._bus.flush()
            except BusUnavailableError as error:
                _log.debug("subscriptions wait", reason=str(error))
                await asyncio.sleep(_RETRY_WAIT)
            else:
                return self._make_ready(channels)

    def _make_ready(self, channels: Sequence[Channel]) -> Iterator[Channel]:
        for channel in channels:
            if channel in self._unready:
                del self._unready[channel]
                channel.ready = True
                yield channel

    # What the bus delivers: the hot path

    def _receiver(self, channel: Channel) -> Callable[[bytes], None]:
        """Make the bus handler of a channel."""
        connections = self._connections
        parse = Delivery.FromString

        def receive(payload: bytes) -> None:
            try:
                delivery = parse(payload)
            except DecodeError:
                self._report_invalid(channel)
                return
            exclude = connections.get(delivery.except_socket_id)
            channel.deliver(frame_text(delivery.payload), exclude)

        return receive

    def _cache_receiver(self, channel: Channel, cache: ChannelCache) -> Callable[[bytes], None]:
        """Make the bus handler of a cache channel."""
        connections = self._connections
        parse = Delivery.FromString

        def receive(payload: bytes) -> None:
            try:
                delivery = parse(payload)
            except DecodeError:
                self._report_invalid(channel)
                return
            cache.deliver(delivery, connections.get(delivery.except_socket_id))

        return receive

    def _report_invalid(self, channel: Channel) -> None:
        self._metrics.invalid_deliveries.inc()
        _log.warning("a message on the bus is no delivery", channel=channel.name)
