"""The hub: which connections are here, and what they ask of the edge."""

import asyncio
from collections.abc import Collection, Iterator

from pogo.bus import Bus, BusError, Message
from pogo.cluster import EDGE, LiveNodes, Membership, Views
from pogo.edge.app_rates import AppRates
from pogo.edge.authorizer import Authorizer, Question
from pogo.edge.cache import Caches
from pogo.edge.channel_table import ChannelTable
from pogo.edge.collection import ConnectionFreezer
from pogo.edge.connection import Connection
from pogo.edge.follower import Follower
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.registry_writer import RegistryWriter
from pogo.edge.subscriptions import Subscriptions
from pogo.edge.users import Users
from pogo.edge.webhooks import EdgeWebhooks
from pogo.pusher.errors import ClientEventError
from pogo.pusher.events import (
    ClientEventReceived,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.records import Records
from pogo.registry import Registry
from pogo.rpc.v1.delivery_pb2 import Delivery


class Hub:
    """All connections of an edge, and whatever they share. It belongs to one event loop."""

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
        self._metrics = metrics
        self._webhooks = webhooks
        self._loop = asyncio.get_running_loop()
        self._app_rates = AppRates(LiveNodes(membership, EDGE), metrics)
        self._freezer = ConnectionFreezer(self._loop)
        self._connections: dict[str, Connection] = {}
        # Connections that say goodbye.
        self._closing: set[Connection] = set()
        # Set while there are no sockets.
        self.empty = asyncio.Event()
        self.empty.set()
        # Seconds for which whoever leaves stays present: they may come back elsewhere.
        self.linger = 0.0
        self._lingering_until = 0.0
        self.writer = RegistryWriter(registry, membership, metrics)
        self.follower = Follower(Views(registry, membership))
        self.users = Users(self.writer, self.follower)
        missed = _nobody_is_told if webhooks is None else webhooks.cache_missed
        self.caches = Caches(cache, metrics, ttl=cache_ttl, missed=missed)
        self.channels = ChannelTable(
            bus,
            metrics,
            connections=self._connections,
            caches=self.caches,
            max_backlog=max_backlog,
        )
        self.subscriptions = Subscriptions(
            self.channels,
            caches=self.caches,
            writer=self.writer,
            follower=self.follower,
            membership=membership,
            max_members=max_members,
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
    def connections(self) -> Collection[Connection]:
        """The open connections."""
        return self._connections.values()

    @property
    def sockets(self) -> int:
        """The number of connections, including those that are closing."""
        return len(self._connections) + len(self._closing)

    def opened(self, connection: Connection) -> None:
        """Count a new connection in."""
        self.empty.clear()
        connection.app.connections += 1
        self._connections[connection.socket_id] = connection
        self._freezer.connected()

    def recount(self) -> None:
        """Count the subscribers of each channel as its app wants it by now."""
        apps = [connection.app for connection in self._connections.values()]
        self.subscriptions.recount({app.id: app.counting for app in apps})

    async def withdrawn(self) -> None:
        """Wait until nobody who left is present any more."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._lingering_until - loop.time())
        await self.writer.drained()

    def abort(self) -> None:
        """Drop the connections that have not said goodbye."""
        for connection in [*self._connections.values(), *self._closing]:
            connection.abort()

    # What a connection asks

    def subscribe(self, connection: Connection, event: SubscriptionRequested) -> None:
        """Subscribe a connection, and tell it once nothing can be missed any more."""
        self.subscriptions.begin(connection, event)

    def unsubscribe(self, connection: Connection, event: SubscriptionCancelled) -> None:
        """End one subscription."""
        channel = self.channels[connection.app.id, event.channel]
        self.subscriptions.end(connection, channel)

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
        if connection.app.total_client_event_rate >= 0:
            self._app_rates.take(connection.app, self._loop.time())
        delivery = Delivery(payload=event.message, except_socket_id=connection.socket_id)
        subscription = self.channels[connection.app.id, event.channel].subscription
        assert subscription is not None, "the channel is open, as the client is subscribed to it"
        try:
            self._bus.post(Message(subscription.subject, delivery.SerializeToString()))
        except BusError as error:
            self._metrics.client_events_failed.inc()
            raise ClientEventError(f"the client event was not sent: {error}") from None
        if connection.app.tells_client_events and self._webhooks is not None:
            self._webhooks.client_event(
                connection.app.id, event.channel, event.message, connection.socket_id
            )

    def leave(self, connection: Connection) -> None:
        """End all subscriptions of a connection that is closing."""
        del self._connections[connection.socket_id]
        self._closing.add(connection)
        if self._authorizer is not None:
            self._authorizer.closed(connection)
        if connection.protocol.user is not None:
            self.users.gone(connection, connection.protocol.user, self._leaving_later())
        for name in list(connection.protocol.channels):
            channel = self.channels[connection.app.id, name]
            # Only who was present can stay so for a while.
            linger = self._leaving_later() if connection in channel else 0.0
            self.subscriptions.end(connection, channel, linger)

    def lost(self, connection: Connection) -> None:
        """Count a connection out, whose socket is gone."""
        self._closing.discard(connection)
        connection.app.connections -= 1
        if not self.sockets:
            self.empty.set()

    def _leaving_later(self) -> float:
        """Tell for how long someone who leaves now stays present, and remember it."""
        if self.linger:
            self._lingering_until = asyncio.get_running_loop().time() + self.linger
        return self.linger


def _nobody_is_told(app_id: str, channel: str) -> None:
    """Take a cache miss where there are no webhooks."""
    del app_id, channel
