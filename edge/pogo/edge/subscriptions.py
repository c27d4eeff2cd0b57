"""Who is subscribed to what on this edge: subscriptions begin, are answered, and end.

It owns what the edge knows of the subscribers of each channel: who is present, and how many they
are. A channel is opened for its first subscriber and closed after its last. Nobody is told that
they are subscribed before nothing can be missed any more: the bus has the channel, and on a cache
channel it is known what it begins with. Who joins a presence channel waits for the registry, too.
"""

import functools
from collections.abc import Mapping

from pogo.cluster import Membership
from pogo.edge.apps import EdgeApp
from pogo.edge.cache import Caches
from pogo.edge.channel import Channel
from pogo.edge.channel_cache import Welcome, at_once
from pogo.edge.channel_table import ChannelTable
from pogo.edge.connection import Connection
from pogo.edge.counting import Counting
from pogo.edge.counts import Counts
from pogo.edge.follower import Follower
from pogo.edge.presence import ChannelPresence
from pogo.edge.registry_writer import RegistryWriter
from pogo.pusher.channels import SERVER_TO_USER, ChannelKind
from pogo.pusher.errors import SubscriptionLimitError
from pogo.pusher.events import SubscriptionRequested


class Subscriptions:
    """The subscriptions of all connections of an edge.

    Args:
        channels: The channels that are open, all of them for a subscription.
        caches: What the cache channels among them remember.
        max_members: The most users that may be present on one channel.
    """

    def __init__(
        self,
        channels: ChannelTable,
        *,
        caches: Caches,
        writer: RegistryWriter,
        follower: Follower,
        membership: Membership,
        max_members: int,
    ) -> None:
        self._channels = channels
        self._caches = caches
        self._writer = writer
        self._follower = follower
        self._membership = membership
        self._max_members = max_members
        self._presence: dict[Channel, ChannelPresence] = {}
        self._counts = Counts(writer, follower)
        # How many there are, with those that wait.
        self.number = 0

    def begin(self, connection: Connection, event: SubscriptionRequested) -> None:
        """Subscribe a connection, and tell it once nothing can be missed any more."""
        channel = self._channels.get(connection.app.id, event.channel)
        if channel is None:
            channel = self._open(connection.app, event.channel, event.kind)
        if connection in channel:
            self._answer(channel, connection)
        elif connection not in channel.waiting:
            self.number += 1
            channel.waiting[connection] = None
            self._counts.changed(channel)
            presence = self._presence.get(channel)
            if presence is not None:
                assert event.member is not None
                presence.join(connection, event.member)
            elif channel.ready:
                self._admit(channel)

    def end(self, connection: Connection, channel: Channel, linger: float = 0.0) -> None:
        """End one subscription; who was present stays so for `linger` seconds."""
        self.number -= 1
        channel.waiting.pop(connection, None)
        channel.remove(connection)
        cache = self._caches.get(channel)
        if cache is not None:
            cache.left(connection)
        presence = self._presence.get(channel)
        if presence is not None:
            presence.leave(connection, linger)
        if channel.idle:
            self._close(channel)
        else:
            self._counts.changed(channel)

    def recount(self, countings: Mapping[str, Counting]) -> None:
        """Count the subscribers of each channel as its app, by id, wants it by now."""
        for channel in self._channels:
            if channel not in self._presence and not channel.name.startswith(SERVER_TO_USER):
                self._counts.count(channel, countings[channel.app_id])

    def presence(self, channel: Channel) -> ChannelPresence | None:
        """Return who is present on a channel, if it is a presence channel."""
        return self._presence.get(channel)

    async def run(self) -> None:
        """Admit those who waited for the bus to have their channel, for ever."""
        while True:
            for channel in await self._channels.confirmed():
                presence = self._presence.get(channel)
                if presence is None:
                    self._admit(channel)
                    if self._caches.get(channel) is None:
                        self._counts.ready(channel)
                else:
                    presence.bus_ready()

    def _open(self, app: EdgeApp, name: str, kind: ChannelKind) -> Channel:
        channel = self._channels.open(app.id, name, kind)
        if kind.is_presence:
            cache = self._caches.get(channel)
            self._presence[channel] = ChannelPresence(
                channel,
                membership=self._membership,
                limit=self._max_members,
                writer=self._writer,
                follower=self._follower,
                full=lambda connection: self._refuse(connection, channel),
                when_known=at_once if cache is None else cache.when_known,
            )
        elif kind is not ChannelKind.SERVER_TO_USER:
            self._counts.count(channel, app.counting)
        return channel

    def _close(self, channel: Channel) -> None:
        self._channels.close(channel)
        presence = self._presence.pop(channel, None)
        if presence is not None:
            presence.stop()
        self._counts.close(channel)

    def _admit(self, channel: Channel) -> None:
        """Admit everyone who waits, once it is known what they begin with."""
        cache = self._caches.get(channel)
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
        self.end(connection, channel)
