"""Cache channels on this edge: what whoever subscribes begins with, the last event of the back end.

Source: Pusher Channels documentation, "Cache channels". A broker records an event before it
publishes it. So whoever is subscribed on the bus and then reads the record misses nothing: what was
published before is in the record, and what is published later arrives. What arrives although it is
no newer than the record says so by its `cache_revision`, and is withheld from those who got the
record. While an edge hears a channel, the last event that it has heard is as good as the record,
and is not read.

An edge that cannot read confirms the subscription all the same, and gives nothing: neither the
event nor that there is none is known. The client gets whatever is published from then on.
"""

import asyncio
import functools
import itertools
from collections.abc import Callable
from typing import Protocol

from google.protobuf.message import DecodeError

from pogo.bus import channel_subject
from pogo.edge.channel import Channel
from pogo.edge.connection import Connection
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.websocket import frame_text
from pogo.pusher import frames
from pogo.records import Record
from pogo.rpc.v1.delivery_pb2 import CachedEvent, Delivery
from pogo.telemetry import get_logger

WITHHOLD = 5.0
"""Seconds for which is remembered who got a record. A broker publishes what it recorded within 2 s
of its caller's call, or not at all."""

Welcome = Callable[[Connection], None]
"""Gives a connection, which knows that it is subscribed, what the channel begins with."""

Admit = Callable[[Welcome], None]
"""Admits those who wait, and welcomes each."""

_log = get_logger()


def at_once(admit: Admit) -> None:
    """Admit to a channel that begins with nothing."""
    admit(_nothing)


def _nothing(connection: Connection) -> None:
    """Give nothing."""
    del connection


class CacheReader(Protocol):
    """What the cache of a channel asks of the edge's caches."""

    def ask(self, cache: "ChannelCache") -> None:
        """Have the record of a channel read: it is told what was found, or that nobody knows."""

    def heard(self, cache: "ChannelCache", size: int) -> float:
        """Make room for what a channel has heard; returns until when it may be given."""

    def forgot(self, cache: "ChannelCache") -> None:
        """Take that a channel remembers nothing any more."""

    def missed(self, channel: Channel) -> None:
        """Take that there was nothing for some who were admitted together."""


class _Given:
    """Who began with one record."""

    __slots__ = ("connections", "id", "revision", "until")

    def __init__(self, revision: int, event_id: str) -> None:
        self.revision = revision
        self.id = event_id
        self.connections: dict[Connection, None] = {}
        self.until = 0.0

    def covers(self, delivery: Delivery) -> bool:
        """Whether a delivery is what they began with, or older."""
        return delivery.cache_revision <= self.revision or delivery.id == self.id


class ChannelCache:
    """One cache channel on this edge."""

    __slots__ = (
        "_admit",
        "_caches",
        "_channel",
        "_frame",
        "_fresh_until",
        "_given",
        "_loop",
        "_metrics",
        "_misses",
        "_timer",
        "key",
    )

    def __init__(
        self,
        channel: Channel,
        *,
        caches: CacheReader,
        metrics: EdgeMetrics,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.key = channel_subject(channel.app_id, channel.name)
        self._channel = channel
        self._caches = caches
        self._metrics = metrics
        self._loop = loop
        # The frame of the last event that was heard, and until when it may be given.
        self._frame: bytes | None = None
        self._fresh_until = 0.0
        # Who admits those that wait for the record.
        self._admit: Admit | None = None
        self._misses = 0
        # Who began with which record, the latest record last.
        self._given: list[_Given] = []
        self._timer: asyncio.TimerHandle | None = None

    def when_known(self, admit: Admit) -> None:
        """Have those who wait admitted once it is known what the channel begins with.

        That is at once, or in a later turn. Whoever comes to wait meanwhile is admitted with them:
        the channel is heard since before the record was asked for.
        """
        if self._admit is not None:
            return
        if self._frame is not None and self._loop.time() < self._fresh_until:
            admit(functools.partial(self._give_heard, self._frame))
            return
        self.forget()
        self._admit = admit
        self._caches.ask(self)

    def deliver(self, delivery: Delivery, exclude: Connection | None) -> None:
        """Deliver to those who did not begin with it, or with something newer."""
        frame = frame_text(delivery.payload)
        if delivery.cache_revision:
            # Client events are not remembered.
            self._frame = frame
            self._fresh_until = self._caches.heard(self, len(frame))
            had = [given for given in self._given if given.covers(delivery)]
            if had:
                excluded = dict.fromkeys(itertools.chain(*[given.connections for given in had]))
                if exclude is not None:
                    excluded[exclude] = None
                self._channel.deliver_except(frame, excluded)
                return
        self._channel.deliver(frame, exclude)

    def left(self, connection: Connection) -> None:
        """Forget that a connection got a record."""
        for given in self._given:
            given.connections.pop(connection, None)

    def forget(self) -> None:
        """Forget what was heard."""
        self._frame = None
        self._caches.forgot(self)

    def distrust(self) -> None:
        """Forget what was heard; the next revisions may be those of another life of the store."""
        self.forget()
        for given in self._given:
            given.revision = 0

    def stop(self) -> None:
        """Forget everything."""
        self.forget()
        self._admit = None
        self._given = []
        if self._timer is not None:
            self._timer.cancel()

    # What reading the record comes to

    def found(self, record: Record | None) -> None:
        """Admit those who wait; what was heard since the record was asked for is newer."""
        if self._frame is not None:
            self._welcome(functools.partial(self._give_heard, self._frame))
        elif record is None:
            before = self._misses
            self._welcome(self._tell_miss)
            if self._misses > before:
                self._caches.missed(self._channel)
        else:
            try:
                event = CachedEvent.FromString(record.value)
            except DecodeError:
                _log.warning("a record of a cache channel is no event", channel=self._channel.name)
                self.unknown()
                return
            given = self._begin(record.revision, event.id)
            frame = frame_text(event.payload)
            self._welcome(functools.partial(self._give_record, frame, given))

    def unknown(self) -> None:
        """Admit those who wait with what was heard, or with nothing."""
        if self._frame is not None:
            self._welcome(functools.partial(self._give_heard, self._frame))
        else:
            self._welcome(self._give_nothing)

    def _welcome(self, welcome: Welcome) -> None:
        admit, self._admit = self._admit, None
        assert admit is not None, "a record is asked for on behalf of those who wait"
        admit(welcome)

    def _give_heard(self, frame: bytes, connection: Connection) -> None:
        self._metrics.cache_subscriptions.labels("heard").inc()
        self._send(connection, frame)

    def _give_record(self, frame: bytes, given: _Given, connection: Connection) -> None:
        self._metrics.cache_subscriptions.labels("read").inc()
        # First, since it may be the last straw for the connection, which then leaves.
        given.connections[connection] = None
        self._send(connection, frame)

    def _tell_miss(self, connection: Connection) -> None:
        self._metrics.cache_subscriptions.labels("miss").inc()
        self._misses += 1
        connection.send_message(frames.cache_miss(self._channel.name))

    def _give_nothing(self, connection: Connection) -> None:
        del connection
        self._metrics.cache_subscriptions.labels("unknown").inc()

    def _send(self, connection: Connection, frame: bytes) -> None:
        self._metrics.messages_out += 1
        connection.send(frame)

    # Who got a record

    def _begin(self, revision: int, event_id: str) -> _Given:
        """Return the latest record that was given, or begin with a new one."""
        if not self._given or self._given[-1].revision != revision:
            self._given.append(_Given(revision, event_id))
        given = self._given[-1]
        given.until = self._loop.time() + WITHHOLD
        if self._timer is None:
            self._timer = self._loop.call_at(given.until, self._expire)
        return given

    def _expire(self) -> None:
        """Forget who got a record long ago."""
        now = self._loop.time()
        self._given = [given for given in self._given if given.until > now]
        self._timer = None
        if self._given:
            due = min(given.until for given in self._given)
            self._timer = self._loop.call_at(due, self._expire)
