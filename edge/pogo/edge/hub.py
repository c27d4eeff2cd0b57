"""The hub: which connections are here, and which channels they subscribed to."""

import asyncio
import functools
from collections.abc import Callable, Collection, Iterator

from google.protobuf.message import DecodeError

from pogo.bus import Bus, BusError, BusUnavailableError, Message, channel_subject
from pogo.cluster import EDGE, LiveNodes, Membership, Views
from pogo.edge.app_rates import AppRates
from pogo.edge.authorizer import Authorizer, Question
from pogo.edge.cache import Caches
from pogo.edge.channel import Channel
from pogo.edge.channel_cache import ChannelCache, Welcome, at_once
from pogo.edge.connection import Connection
from pogo.edge.counting import Counting
from pogo.edge.counts import Counts
from pogo.edge.fanout import Fanout
from pogo.edge.follower import Follower
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.presence import ChannelPresence
from pogo.edge.registry_writer import RegistryWriter
from pogo.edge.users import Users
from pogo.edge.webhooks import EdgeWebhooks
from pogo.edge.websocket import frame_text
from pogo.pusher.channels import SERVER_TO_USER, ChannelKind
from pogo.pusher.errors import ClientEventError, SubscriptionLimitError
from pogo.pusher.events import (
    ClientEventReceived,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.records import Records
from pogo.registry import Registry
from pogo.rpc.v1.delivery_pb2 import Delivery
from pogo.telemetry import get_logger

_log = get_logger()

_RETRY_WAIT = 0.1
"""Seconds before a bus that did not confirm is asked again."""


class Hub:
    """All connections and channels of an edge. It belongs to one event loop."""

    def __init__(
        self,
        *,
        bus: Bus,
        registry: Registry,
        membership: Membership,
        metrics: EdgeMetrics,
        max_members: int,
        max_backlog: int,
        cache: Records,
        cache_ttl: float,
        webhooks: EdgeWebhooks | None,
        authorizer: Authorizer | None = None,
    ) -> None:
        """Make the hub of an edge; limits are per channel, in users and bytes."""
        self._authorizer = authorizer
        self._bus = bus
        self._membership = membership
        self._max_members = max_members
        self._max_backlog = max_backlog
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._fanout = Fanout(self._loop)
        self._app_rates = AppRates(LiveNodes(membership, EDGE), metrics)
        self._connections: dict[str, Connection] = {}
        self._channels: dict[tuple[str, str], Channel] = {}
        self._presence: dict[Channel, ChannelPresence] = {}
        # Channels whose subscription the bus may not have yet.
        self._unready: dict[Channel, None] = {}
        self._wake = asyncio.Event()
        # Connections that say goodbye.
        self._closing: set[Connection] = set()
        # Set while there are no sockets.
        self.empty = asyncio.Event()
        self.empty.set()
        self.subscriptions = 0
        self.writer = RegistryWriter(registry, membership, metrics)
        self.follower = Follower(Views(registry, membership))
        self.users = Users(self.writer, self.follower)
        self._counts = Counts(self.writer, self.follower)
        self._webhooks = webhooks
        missed = _nobody_is_told if webhooks is None else webhooks.cache_missed
        self.caches = Caches(cache, metrics, ttl=cache_ttl, missed=missed)
        # Seconds for which whoever leaves stays present: they may come back elsewhere.
        self.linger = 0.0
        self._lingering_until = 0.0
        metrics.gauge("connections_active", "Open WebSocket connections.", lambda: len(self))
        metrics.gauge(
            "subscriptions_active", "Subscriptions of clients.", lambda: self.subscriptions
        )
        metrics.gauge(
            "registry_writes_waiting",
            "Entries that the registry has not confirmed yet.",
            lambda: self.writer.waiting,
        )
        metrics.gauge(
            "registry_topics_waiting",
            "Topics of the registry that are to be followed, and are not yet.",
            lambda: self.follower.waiting,
        )
        metrics.gauge(
            "cache_reads_waiting",
            "Cache channels whose subscribers wait for the last event.",
            lambda: self.caches.waiting,
        )
        metrics.gauge(
            "channels_active", "Channels with a subscriber here.", lambda: len(self._channels)
        )

    def __len__(self) -> int:
        """The number of connections that are open."""
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        """Go through the connections that are open, as they are now."""
        return iter(list(self._connections.values()))

    def is_taken(self, socket_id: str) -> bool:
        """Whether an open connection has this id."""
        return socket_id in self._connections

    @property
    def sockets(self) -> int:
        """The number of connections, including those that are closing."""
        return len(self._connections) + len(self._closing)

    def opened(self, connection: Connection) -> None:
        """Count a new connection in."""
        self.empty.clear()
        connection.app.connections += 1
        self._connections[connection.socket_id] = connection

    def leave(self, connection: Connection) -> None:
        """End all subscriptions of a connection that is closing."""
        del self._connections[connection.socket_id]
        self._closing.add(connection)
        if self._authorizer is not None:
            self._authorizer.closed(connection)
        if connection.protocol.user is not None:
            self.users.gone(connection, connection.protocol.user, self._leaving_later())
        for name in list(connection.protocol.channels):
            channel = self._channels[connection.app.id, name]
            # Only who was present can stay so for a while.
            linger = self._leaving_later() if connection in channel else 0.0
            self._drop(connection, channel, linger)

    def lost(self, connection: Connection) -> None:
        """Count a connection out, whose socket is gone."""
        self._closing.discard(connection)
        connection.app.connections -= 1
        if not self.sockets:
            self.empty.set()

    async def withdrawn(self) -> None:
        """Wait until nobody who left is present any more."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._lingering_until - loop.time())
        await self.writer.drained()

    def abort(self) -> None:
        """Drop the connections that have not said goodbye."""
        for connection in [*self._connections.values(), *self._closing]:
            connection.abort()

    def subscribe(self, connection: Connection, event: SubscriptionRequested) -> None:
        """Subscribe a connection, and tell it once nothing can be missed any more."""
        key = connection.app.id, event.channel
        channel = self._channels.get(key)
        if channel is None:
            channel = self._open(key, event.kind, connection.app.counting)
        if connection in channel:
            self._answer(channel, connection)
        elif connection not in channel.waiting:
            self.subscriptions += 1
            channel.waiting[connection] = None
            self._counts.changed(channel)
            presence = self._presence.get(channel)
            if presence is not None:
                assert event.member is not None
                presence.join(connection, event.member)
            elif channel.ready:
                self._admit(channel)

    def unsubscribe(self, connection: Connection, event: SubscriptionCancelled) -> None:
        """End one subscription."""
        self._drop(connection, self._channels[connection.app.id, event.channel])

    def ask(self, connection: Connection, event: Question) -> None:
        """Ask the application on behalf of a client."""
        assert self._authorizer is not None, "the protocol asks only where somebody can be asked"
        self._authorizer.ask(connection, event)

    def signed_in(self, connection: Connection, event: SignedIn) -> None:
        """Count a connection to its user."""
        self.users.signed_in(connection, event)

    def client_event(self, connection: Connection, event: ClientEventReceived) -> None:
        """Publish a client's message to everyone else on the channel.

        Raises:
            ClientEventError: The app's clients send too many, or the bus does not take it.
        """
        if connection.app.client_event_rate >= 0:
            self._app_rates.take(connection.app, self._loop.time())
        delivery = Delivery(payload=event.message, except_socket_id=connection.socket_id)
        subject = channel_subject(connection.app.id, event.channel)
        try:
            self._bus.post(Message(subject, delivery.SerializeToString()))
        except BusError as error:
            self._metrics.client_events_failed.inc()
            raise ClientEventError(f"the client event was not sent: {error}") from None
        if connection.app.tells_client_events and self._webhooks is not None:
            self._webhooks.client_event(
                connection.app.id, event.channel, event.message, connection.socket_id
            )

    def recount(self) -> None:
        """Count the subscribers of each channel as its app wants it by now."""
        apps = {connection.app.id: connection.app for connection in self._connections.values()}
        for channel in self._channels.values():
            if channel not in self._presence and not channel.name.startswith(SERVER_TO_USER):
                self._counts.count(channel, apps[channel.app_id].counting)

    async def run(self) -> None:
        """Make channels ready, for ever: one flush for all that were opened in one turn."""
        while True:
            if not self._unready:
                self._wake.clear()
                await self._wake.wait()
            try:
                await self._make_ready()
            except BusUnavailableError as error:
                _log.debug("subscriptions wait", reason=str(error))
                await asyncio.sleep(_RETRY_WAIT)

    def _open(self, key: tuple[str, str], kind: ChannelKind, counting: Counting) -> Channel:
        app_id, name = key
        channel = Channel(
            app_id,
            name,
            fanout=self._fanout,
            metrics=self._metrics,
            max_backlog=self._max_backlog,
        )
        cache = self.caches.open(channel) if kind.is_cache else None
        subject = channel_subject(app_id, name)
        receive = self._receiver(channel) if cache is None else self._cache_receiver(channel, cache)
        channel.subscription = self._bus.subscribe(subject, receive)
        self._channels[key] = channel
        if kind.is_presence:
            self._presence[channel] = ChannelPresence(
                channel,
                membership=self._membership,
                limit=self._max_members,
                writer=self.writer,
                follower=self.follower,
                full=lambda connection: self._refuse(connection, channel),
                when_known=at_once if cache is None else cache.when_known,
            )
        elif kind is not ChannelKind.SERVER_TO_USER:
            self._counts.count(channel, counting)
        self._unready[channel] = None
        self._wake.set()
        return channel

    def _close(self, channel: Channel) -> None:
        assert channel.subscription is not None
        self._bus.unsubscribe(channel.subscription)
        channel.subscription = None
        self._unready.pop(channel, None)
        presence = self._presence.pop(channel, None)
        if presence is not None:
            presence.stop()
        self._counts.close(channel)
        self.caches.close(channel)
        del self._channels[channel.app_id, channel.name]

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

    async def _make_ready(self) -> None:
        """Admit those who waited for the bus to have a channel.

        Raises:
            BusUnavailableError: The channels have to wait on.
        """
        channels = list(self._unready)
        await self._bus.flush()
        for channel in channels:
            if channel in self._unready:
                del self._unready[channel]
                channel.ready = True
                presence = self._presence.get(channel)
                if presence is None:
                    self._admit(channel)
                    if self.caches.get(channel) is None:
                        self._counts.ready(channel)
                else:
                    presence.bus_ready()

    def _admit(self, channel: Channel) -> None:
        """Admit everyone who waits, once it is known what they begin with."""
        cache = self.caches.get(channel)
        if cache is None:
            self._let_in(channel)
        else:
            cache.when_known(functools.partial(self._let_in_to_cache, channel))

    def _let_in_to_cache(self, channel: Channel, welcome: Welcome) -> None:
        """Let in who waited for the last event, and tell what they did not hear meanwhile."""
        connections = list(channel.waiting)
        self._let_in(channel)
        for connection in connections:
            if connection in channel:
                welcome(connection)
            if connection in channel:
                self._counts.tell(channel, connection)

    def _let_in(self, channel: Channel) -> None:
        """Deliver to everyone who waits, and tell them: first the one, then the other.

        An answer may be the last straw for a connection, and the channel must not close under
        those who come after it.
        """
        waiting, channel.waiting = channel.waiting, {}
        for connection in waiting:
            channel.add(connection)
        for connection in waiting:
            if connection in channel:
                self._answer(channel, connection)

    def _answer(self, channel: Channel, connection: Connection) -> None:
        presence = self._presence.get(channel)
        if presence is not None:
            presence.answer(connection)
        else:
            connection.send_message(connection.protocol.confirm(channel.name))

    def _refuse(self, connection: Connection, channel: Channel) -> None:
        """Tell a connection that its presence channel is full."""
        connection.protocol.refuse(channel.name)
        message = f"{channel.name} has {self._max_members} members, which is the limit"
        connection.report(SubscriptionLimitError(channel.name, message))
        self._drop(connection, channel)

    def _drop(self, connection: Connection, channel: Channel, linger: float = 0.0) -> None:
        self.subscriptions -= 1
        channel.waiting.pop(connection, None)
        channel.remove(connection)
        cache = self.caches.get(channel)
        if cache is not None:
            cache.left(connection)
        presence = self._presence.get(channel)
        if presence is not None:
            presence.leave(connection, linger)
        if channel.idle:
            self._close(channel)
        else:
            self._counts.changed(channel)

    def _leaving_later(self) -> float:
        """Tell for how long someone who leaves now stays present, and remember it."""
        if self.linger:
            self._lingering_until = asyncio.get_running_loop().time() + self.linger
        return self.linger

    # What can be asked about this edge

    @property
    def connections(self) -> Collection[Connection]:
        """The open connections."""
        return self._connections.values()

    def channel(self, app_id: str, name: str) -> Channel | None:
        """Find a channel that has subscribers here."""
        return self._channels.get((app_id, name))

    def channels(self, app_id: str) -> list[Channel]:
        """Return the channels of an app that have subscribers here."""
        return [channel for channel in self._channels.values() if channel.app_id == app_id]

    def presence(self, channel: Channel) -> ChannelPresence | None:
        """Return who is present on a channel, if it is a presence channel."""
        return self._presence.get(channel)


def _nobody_is_told(app_id: str, channel: str) -> None:
    """Take a cache miss where there are no webhooks."""
    del app_id, channel
