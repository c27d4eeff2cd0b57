"""Presence on this edge: who is there, derived from the registry, and what clients are told of it.

A joining connection is told that it has joined when its own entry comes back from the registry,
because only then does every node agree on who was there before.
"""

import asyncio
from collections.abc import Callable, Sequence

from pogo.bus.subjects import encode_token
from pogo.cluster import Membership
from pogo.edge.channel import Channel
from pogo.edge.channel_cache import Admit, Welcome, at_once
from pogo.edge.connection import Connection
from pogo.edge.follower import Follower
from pogo.edge.registry_writer import RegistryWriter
from pogo.edge.websocket import frame_text
from pogo.pusher import frames
from pogo.pusher.members import Member, encode_member
from pogo.pusher.presence import Joined, Roster
from pogo.registry import Entry, Key
from pogo.registry.keys import presence_topic

_PROMOTE_AFTER = 1.0
"""Seconds after which those who found no place, and are there still, are judged anew: the edge that
refused them should have removed their entry by then."""


class ChannelPresence:
    """Who is present on one channel, as this edge sees it. A view of the channel's topic."""

    def __init__(
        self,
        channel: Channel,
        *,
        membership: Membership,
        limit: int,
        writer: RegistryWriter,
        follower: Follower,
        full: Callable[[Connection], None],
        when_known: Callable[[Admit], None] = at_once,
    ) -> None:
        """Keep the roster of at most `limit` users; `full` takes those that found no place.

        Those who have one are admitted by `when_known`, and welcomed as it says.
        """
        self._channel = channel
        self._topic = presence_topic(channel.app_id, channel.name)
        self._membership = membership
        self._writer = writer
        self._follower = follower
        self._full = full
        self._when_known = when_known
        self._roster = Roster(limit)
        # The connections that are not admitted yet, with their user, by item; and those of them
        # whose own entry has come back, with its key.
        self._joining: dict[str, tuple[Connection, str]] = {}
        self._arrived: dict[str, str] = {}
        self._promotion: asyncio.TimerHandle | None = None
        follower.follow(self._topic, self)

    @property
    def users(self) -> int:
        """How many users are present, in the whole cluster."""
        return len(self._roster.members)

    @property
    def user_ids(self) -> list[str]:
        """Their ids."""
        return list(self._roster.members)

    def stop(self) -> None:
        """Watch no more."""
        if self._promotion is not None:
            self._promotion.cancel()
        self._follower.unfollow(self)

    def bus_ready(self) -> None:
        """Admit those who have joined and only waited for the bus."""
        if self._membership.is_settled:
            self.settle()

    def join(self, connection: Connection, member: Member) -> None:
        """Have a connection announced; it is answered when its entry comes back."""
        item = encode_token(connection.socket_id)
        self._joining[item] = connection, member.user_id
        self._writer.put(self._topic, item, encode_member(member))

    def leave(self, connection: Connection, linger: float) -> None:
        """Have a connection withdrawn, `linger` seconds from now."""
        item = encode_token(connection.socket_id)
        self._joining.pop(item, None)
        self._arrived.pop(item, None)
        self._writer.delete(self._topic, item, linger)

    def answer(self, connection: Connection) -> None:
        """Tell a connection that it is subscribed, and who is there."""
        data = frames.presence_data(self._roster.members)
        connection.send_message(connection.protocol.confirm(self._channel.name, data))

    # What the registry tells

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take all entries of the channel."""
        self._roster.reset((entry.key, entry.value, entry.revision) for entry in entries)
        if self._joining:
            for entry in entries:
                self._note_own(entry.key)

    def put(self, entry: Entry) -> None:
        """Take one entry."""
        self._roster.put(entry.key, entry.value, entry.revision)
        if self._joining:
            self._note_own(entry.key)

    def removed(self, key: str) -> None:
        """Take that an entry is gone."""
        self._roster.remove(key)

    def settle(self) -> None:
        """Tell the subscribers who came and went, and admit those who have joined."""
        name = self._channel.name
        for transition in self._roster.settle():
            if isinstance(transition, Joined):
                message = frames.member_added(name, transition.member)
            else:
                message = frames.member_removed(name, transition.user_id)
            self._channel.announce(frame_text(message))
        if self._roster.keeps_out and self._promotion is None:
            loop = asyncio.get_running_loop()
            self._promotion = loop.call_later(_PROMOTE_AFTER, self._promote)
        if self._arrived and self._channel.ready:
            self._when_known(self._admit_arrived)

    def _promote(self) -> None:
        self._promotion = None
        self._roster.promote()
        if self._membership.is_settled:
            self.settle()

    def _note_own(self, text: str) -> None:
        key = Key.parse(text)
        if key.item in self._joining and key.owner == self._membership.name:
            self._arrived[key.item] = text

    def _admit_arrived(self, welcome: Welcome) -> None:
        arrived, self._arrived = self._arrived, {}
        for item, key in arrived.items():
            self._admit(item, key, welcome)

    def _admit(self, item: str, key: str, welcome: Welcome) -> None:
        """Admit the connection whose own entry came back, unless the channel is full."""
        joining = self._joining.get(item)
        if joining is None or self._roster.user_of(key) != joining[1]:
            # It left, or the entry is what it wrote as somebody else, before it came anew.
            return
        del self._joining[item]
        connection, user_id = joining
        if user_id not in self._roster.members:
            self._full(connection)
            return
        del self._channel.waiting[connection]
        self._channel.add(connection)
        self.answer(connection)
        # The answer may have been the last straw.
        if connection in self._channel:
            welcome(connection)
