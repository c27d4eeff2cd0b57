"""What is: the channels of one app, as the registry's entries of live nodes tell. Without any I/O.

Everything that endpoints are told of channels is a *point* and its value: a channel and whether it
is occupied, a user of a presence channel and whether they are there, a channel and how many
subscribers it has. A point of which nothing is known has the value 0.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pogo.bus.subjects import decode_token
from pogo.pusher.presence import Left, Roster, Transition
from pogo.registry import Entry, Key


class Kind(enum.StrEnum):
    """What a point tells of."""

    CHANNEL = "c"
    """Whether a channel has subscribers: 1 or 0."""
    MEMBER = "m"
    """Whether a user is present on a channel: 1 or 0."""
    COUNT = "n"
    """How many subscribers a channel has; not told of presence channels."""


class Point(NamedTuple):
    """One thing that may change."""

    kind: Kind
    channel: str
    user_id: str = ""
    """Of a member."""


class Subscribers:
    """How many subscribers channels have, by edge. A view of an app's counts.

    Args:
        changed: Is told which points may have changed, once the cluster is as it seems.
    """

    def __init__(self, changed: Callable[[Sequence[Point]], None]) -> None:
        self._changed = changed
        self._counts: dict[str, dict[str, int]] = {}
        self._touched: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Go through the channels that have subscribers."""
        return iter(self._counts)

    def count(self, channel: str) -> int:
        """Tell how many subscribers a channel has on all edges."""
        return sum(self._counts.get(channel, {}).values())

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take the counts of all channels."""
        self._touched.update(self._counts)
        self._counts = {}
        for entry in entries:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Take one channel's count on one edge."""
        channel = channel_of(entry.key)
        self._counts.setdefault(channel, {})[entry.key] = int(entry.value)
        self._touched.add(channel)

    def removed(self, key: str) -> None:
        """Take that a channel has no subscribers on one edge."""
        channel = channel_of(key)
        counts = self._counts.get(channel, {})
        counts.pop(key, None)
        if not counts:
            self._counts.pop(channel, None)
        self._touched.add(channel)

    def settle(self) -> None:
        """Tell which points may have changed."""
        touched, self._touched = self._touched, set()
        self._changed(
            [Point(kind, channel) for channel in touched for kind in (Kind.CHANNEL, Kind.COUNT)]
        )


class Members:
    """Who is present on presence channels. A view of an app's entries of connections.

    Args:
        limit: The most users of one channel. Who finds no place is not there: their edge refuses
            them (see `pogo.pusher.presence`).
        changed: Is told which points have changed, once the cluster is as it seems.
    """

    def __init__(self, limit: int, changed: Callable[[Sequence[Point]], None]) -> None:
        self._limit = limit
        self._changed = changed
        self._rosters: dict[str, Roster] = {}
        self._touched: set[str] = set()
        # Where somebody found no place, and where that was so at the last tick already.
        self._crowded: set[str] = set()
        self._crowded_before: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Go through the channels that anybody is on."""
        return iter(self._rosters)

    def on(self, channel: str) -> Sequence[str]:
        """Return the users on a channel."""
        roster = self._rosters.get(channel)
        return () if roster is None else tuple(roster.members)

    def is_on(self, channel: str, user_id: str) -> bool:
        """Whether a user is on a channel."""
        roster = self._rosters.get(channel)
        return roster is not None and user_id in roster.members

    def is_occupied(self, channel: str) -> bool:
        """Whether anybody is on a channel."""
        roster = self._rosters.get(channel)
        return roster is not None and bool(roster.members)

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take the entries of all channels."""
        by_channel: defaultdict[str, list[tuple[str, bytes, int]]] = defaultdict(list)
        for entry in entries:
            by_channel[channel_of(entry.key)].append((entry.key, entry.value, entry.revision))
        for channel in {*self._rosters, *by_channel}:
            self._roster(channel).reset(by_channel.get(channel, ()))

    def put(self, entry: Entry) -> None:
        """Take one entry."""
        self._roster(channel_of(entry.key)).put(entry.key, entry.value, entry.revision)

    def removed(self, key: str) -> None:
        """Take that an entry is gone."""
        self._roster(channel_of(key)).remove(key)

    def settle(self) -> None:
        """Tell which points have changed."""
        touched, self._touched = self._touched, set()
        points: list[Point] = []
        for channel in touched:
            roster = self._rosters[channel]
            for transition in roster.settle():
                user_id = _user_id(transition)
                points += (Point(Kind.CHANNEL, channel), Point(Kind.MEMBER, channel, user_id))
            if roster.keeps_out:
                self._crowded.add(channel)
            else:
                self._crowded.discard(channel)
                if not roster.members:
                    del self._rosters[channel]
        self._changed(points)

    def tick(self) -> None:
        """Judge those anew who found no place: those who had none at the last tick already.

        Ticks are so far apart that the edge which refused them has removed them by then.
        """
        due = self._crowded & self._crowded_before
        self._crowded_before = self._crowded - due
        for channel in due:
            self._roster(channel).promote()
        if due:
            self.settle()

    def _roster(self, channel: str) -> Roster:
        self._touched.add(channel)
        roster = self._rosters.get(channel)
        if roster is None:
            roster = self._rosters[channel] = Roster(self._limit)
        return roster


class ChannelStates:
    """All points of one app.

    Args:
        max_members: The most users of one presence channel.
        wake: Called when a point has changed.
    """

    def __init__(self, max_members: int, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changed: dict[Point, bool] = {}
        self.subscribers = Subscribers(self._note)
        self.members = Members(max_members, self._note)

    def value(self, point: Point) -> int:
        """Return the value of a point."""
        channel = point.channel
        match point.kind:
            case Kind.CHANNEL:
                is_counted = self.subscribers.count(channel) > 0
                return int(is_counted or self.members.is_occupied(channel))
            case Kind.MEMBER:
                return int(self.members.is_on(channel, point.user_id))
            case Kind.COUNT:
                return self.subscribers.count(channel)

    def points(self) -> Iterator[Point]:
        """Go through all points that may have another value than 0."""
        for channel in self.subscribers:
            yield Point(Kind.CHANNEL, channel)
            yield Point(Kind.COUNT, channel)
        for channel in self.members:
            yield Point(Kind.CHANNEL, channel)
            for user_id in self.members.on(channel):
                yield Point(Kind.MEMBER, channel, user_id)

    def take_changed(self) -> dict[Point, bool]:
        """Return the points that may have changed since the last time, in that order.

        And of each, whether its value was another one than 0 meanwhile.
        """
        changed, self._changed = self._changed, {}
        return changed

    def _note(self, points: Sequence[Point]) -> None:
        for point in points:
            was_there = self._changed.get(point, False)
            self._changed[point] = was_there or self.value(point) > 0
        if points:
            self._wake()


def channel_of(key: str) -> str:
    """Tell which channel a key of the registry is about."""
    return decode_token(Key.parse(key).topic.rpartition(".")[2])


def _user_id(transition: Transition) -> str:
    return transition.user_id if isinstance(transition, Left) else transition.member.user_id
