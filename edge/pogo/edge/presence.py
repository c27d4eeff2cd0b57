"""Presence on this edge: entries written to the registry, and rosters derived from it.

A joining connection is told that it has joined when its own entry comes back from the registry,
because only then does every node agree on who was there before.
"""

import asyncio
from collections.abc import Callable, Sequence

from pogo.edge.channel import Channel
from pogo.edge.connection import Connection
from pogo.edge.websocket import frame_text
from pogo.pusher import frames
from pogo.pusher.members import Member, encode_member
from pogo.pusher.presence import Joined, Roster, Transition
from pogo.registry import Change, Entry, Registry, RegistryUnavailableError, Watch
from pogo.registry.keys import presence_key, presence_topic
from pogo.telemetry import get_logger

_log = get_logger()

_RETRY_WAIT = 0.5
"""Seconds before a registry that was away is tried again."""

_WRITES_PER_TURN = 100
"""A registry in memory answers at once, without ever letting anything else run."""


class RegistryWriter:
    """Brings the registry to the state that this edge's connections are in.

    What is to be written is kept as the desired state of each key: the last word on a key wins,
    and a registry that is away costs no more memory than the entries that are there or wanted.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # Withdrawals go first: whoever leaves makes room for those who come.
        self._deletes: dict[str, None] = {}
        self._puts: dict[str, bytes] = {}
        # The keys that the registry may have.
        self._attempted: set[str] = set()
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()

    def put(self, key: str, value: bytes) -> None:
        """Have an entry written."""
        self._deletes.pop(key, None)
        self._puts[key] = value
        self._written.clear()
        self._wake.set()

    def delete(self, key: str) -> None:
        """Have an entry removed."""
        self._puts.pop(key, None)
        if key in self._attempted:
            self._deletes[key] = None
            self._written.clear()
            self._wake.set()

    async def drained(self) -> None:
        """Wait until everything has been written."""
        await self._written.wait()

    async def run(self) -> None:
        """Write, for ever."""
        writes = 0
        while True:
            while self._deletes or self._puts:
                try:
                    await self._write_one()
                except RegistryUnavailableError as error:
                    _log.debug("registry write failed", reason=str(error))
                    await asyncio.sleep(_RETRY_WAIT)
                writes += 1
                if writes % _WRITES_PER_TURN == 0:
                    await asyncio.sleep(0)
            self._written.set()
            self._wake.clear()
            await self._wake.wait()

    async def _write_one(self) -> None:
        if self._deletes:
            key = next(iter(self._deletes))
            await self._registry.delete(key)
            # Unless it is wanted again by now.
            if self._deletes.pop(key, key) is None:
                self._attempted.discard(key)
            return
        key, value = next(iter(self._puts.items()))
        self._attempted.add(key)
        await self._registry.put(key, value)
        # Unless it is to have another value, or none, by now.
        if self._puts.get(key) is value:
            del self._puts[key]


class ChannelPresence:
    """Who is present on one channel, as this edge sees it. A watcher of the channel's topic."""

    def __init__(
        self,
        channel: Channel,
        *,
        node: str,
        limit: int,
        writer: RegistryWriter,
        full: Callable[[Connection], None],
    ) -> None:
        """Keep the roster of at most `limit` users; `full` takes those that found no place."""
        self._channel = channel
        self._node = node
        self._writer = writer
        self._full = full
        self._roster = Roster(limit)
        # The connections whose own entry has not come back yet, with their user, by key.
        self._joining: dict[str, tuple[Connection, str]] = {}
        self._watch: Watch | None = None

    async def follow(self, registry: Registry) -> None:
        """Begin to watch.

        Raises:
            RegistryUnavailableError: The registry is away.
        """
        topic = presence_topic(self._channel.app_id, self._channel.name)
        self._watch = await registry.watch(topic, self)

    def stop(self) -> None:
        """Watch no more."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def join(self, connection: Connection, member: Member) -> None:
        """Have a connection announced; it is answered when its entry comes back."""
        key = self._key(connection)
        self._joining[key] = connection, member.user_id
        self._writer.put(key, encode_member(member))

    def leave(self, connection: Connection) -> None:
        """Have a connection withdrawn."""
        key = self._key(connection)
        self._joining.pop(key, None)
        self._writer.delete(key)

    def answer(self, connection: Connection) -> None:
        """Tell a connection that it is subscribed, and who is there."""
        data = frames.presence_data(self._roster.members)
        connection.send_message(connection.protocol.confirm(self._channel.name, data))

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all entries of the channel."""
        known = ((entry.key, entry.value, entry.revision) for entry in entries)
        self._announce(self._roster.reset(known))
        for key in list(self._joining):
            self._arrived(key)

    def changed(self, change: Change) -> None:
        """Take one change."""
        self._announce(self._roster.apply(change.key, change.value, change.revision))
        if change.key in self._joining:
            self._arrived(change.key)

    def _announce(self, transitions: list[Transition]) -> None:
        name = self._channel.name
        for transition in transitions:
            if isinstance(transition, Joined):
                message = frames.member_added(name, transition.member)
            else:
                message = frames.member_removed(name, transition.user_id)
            self._channel.announce(frame_text(message))

    def _arrived(self, key: str) -> None:
        """Admit the connection whose own entry came back, unless the channel is full."""
        connection, user_id = self._joining[key]
        if self._roster.user_of(key) != user_id:
            # It is what the connection wrote as somebody else, before it came anew.
            return
        del self._joining[key]
        if user_id not in self._roster.members:
            self._full(connection)
            return
        del self._channel.waiting[connection]
        self._channel.add(connection)
        self.answer(connection)

    def _key(self, connection: Connection) -> str:
        channel = self._channel
        return presence_key(channel.app_id, channel.name, self._node, connection.socket_id)
