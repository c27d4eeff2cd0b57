"""An edge without sockets: its registry, membership, writer and rosters are the real ones."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, cast

import msgspec
from prometheus_client import CollectorRegistry

from bench.messages import Seat
from pogo.cluster import EDGE, Membership, Views
from pogo.edge.channel import Channel
from pogo.edge.connection import Connection
from pogo.edge.follower import Follower
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.presence import ChannelPresence
from pogo.edge.registry_writer import RegistryWriter
from pogo.pusher import frames
from pogo.pusher.members import Member
from pogo.registry import Change, Entry
from pogo.registry.nats import NatsRegistry

APP = "bench"

_POLL = 0.01
"""Seconds between two looks at what has no event of its own."""

_INFO = msgspec.Raw(
    b'{"name":"Somebody Or Other","avatar":"https://example.com/avatars/12345.png"}'
)
"""What the application says of each member."""


def member_of(user_id: str) -> Member:
    """Make a member such as applications send."""
    return Member(user_id, _INFO)


class Guest:
    """Stands where a connection does, and notes when it is told that it has subscribed."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.socket_id = seat.socket_id
        self.protocol = self
        self.began = time.perf_counter()
        self.latency = 0.0
        self.admitted = asyncio.Event()
        self.gone = False

    def confirm(self, channel: str, data: str) -> bytes:
        """Write the answer, as the protocol does."""
        return frames.subscription_succeeded(channel, data)

    def send_message(self, message: bytes) -> None:
        """Take the answer."""
        assert message
        self.latency = time.perf_counter() - self.began
        self.admitted.set()

    def refused(self) -> None:
        """Find no place."""
        raise AssertionError(f"{self.seat.channel} is full")

    @property
    def connection(self) -> Connection:
        """The guest, as a channel and its presence see it."""
        return cast("Connection", self)


class Counters:
    """What an edge has heard and would have said."""

    def __init__(self) -> None:
        self.beats = 0
        self.changes = 0
        self.announced = 0


class _Channel(Channel):
    """Counts what it would write."""

    __slots__ = ("counters",)

    counters: Counters

    def announce(self, frame: bytes) -> None:
        assert frame
        self.counters.announced += 1


class _Presence(ChannelPresence):
    """Counts the changes that it is told of one by one."""

    counters: Counters

    def put(self, entry: Entry) -> None:
        self.counters.changes += 1
        super().put(entry)

    def removed(self, key: str) -> None:
        self.counters.changes += 1
        super().removed(key)


class _Membership(Membership):
    """Counts beats."""

    counters: Counters

    def changed(self, change: Change) -> None:
        self.counters.beats += change.value is not None
        super().changed(change)


class HeadlessEdge:
    """Everything of an edge that presence passes through, but sockets and the bus.

    Args:
        url: The nats-server.
        name: Names the process, in the cluster and in the server's monitoring.
        limit: The most users of one channel.
    """

    def __init__(self, url: str, name: str, limit: int) -> None:
        self._limit = limit
        self.counters = Counters()
        self.registry = NatsRegistry([url], name=name)
        self.membership = _Membership(self.registry, EDGE, name, ready=False)
        self.membership.counters = self.counters
        self._metrics = EdgeMetrics(CollectorRegistry())
        self.writer = RegistryWriter(self.registry, self.membership, self._metrics)
        self._follower = Follower(Views(self.registry, self.membership))
        self.rooms: dict[str, tuple[Channel, ChannelPresence]] = {}
        self.guests: dict[str, Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Become a node."""
        await self.registry.start()
        self._spawn(self.writer.run())
        self._spawn(self.writer.run_repairs())
        self._spawn(self._follower.run())
        self.membership.start()

    async def stop(self) -> None:
        """Leave the cluster."""
        for task in self._tasks:
            task.cancel()
        await self.membership.leave()
        await self.registry.close()

    @property
    def is_settled(self) -> bool:
        """Whether this edge sees the cluster as it is."""
        return self.membership.is_settled

    @property
    def edges(self) -> int:
        """How many edges live."""
        return len(self.membership.nodes.of_role(EDGE))

    def join(self, seat: Seat) -> Guest:
        """Have somebody come: the way of `Hub.subscribe`."""
        room = self.rooms.get(seat.channel) or self.open(seat.channel)
        guest = self.guests[seat.socket_id] = Guest(seat)
        channel, presence = room
        channel.waiting[guest.connection] = None
        presence.join(guest.connection, member_of(seat.user_id))
        return guest

    def leave(self, socket_id: str) -> Seat:
        """Have somebody go: the way of `Hub.unsubscribe`."""
        guest = self.guests.pop(socket_id)
        guest.gone = True
        channel, presence = self.rooms[guest.seat.channel]
        channel.waiting.pop(guest.connection, None)
        channel.remove(guest.connection)
        presence.leave(guest.connection, 0)
        if channel.idle:
            presence.stop()
            del self.rooms[guest.seat.channel]
        return guest.seat

    def open(self, name: str) -> tuple[Channel, ChannelPresence]:
        """Begin to follow a channel."""
        channel = _Channel(APP, name, fanout=_Idle(), metrics=self._metrics, max_backlog=0)
        channel.counters = self.counters
        # There is no bus to wait for.
        channel.ready = True
        presence = _Presence(
            channel,
            membership=self.membership,
            limit=self._limit,
            writer=self.writer,
            follower=self._follower,
            full=lambda connection: cast("Guest", connection).refused(),
        )
        presence.counters = self.counters
        self.rooms[name] = channel, presence
        return channel, presence

    async def followed(self) -> None:
        """Wait until every channel that was opened is being followed."""
        while self._follower.waiting:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()


class _Idle:
    """A scheduler for channels that write nothing."""

    def schedule(self, channel: Channel) -> None:
        raise AssertionError(f"{channel.name} has nothing to write")
