"""One channel on this edge: who subscribed, and what is yet to be written to them."""

from collections.abc import Iterable
from typing import Protocol

from pogo.bus import Subscription
from pogo.edge.connection import Connection
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.targets import Targets

_MAX_ROUND_BYTES = 256 * 1024
"""The most that one round joins: beyond it, joining saves nothing and fills every socket."""


class Scheduler(Protocol):
    """Whatever lets a channel write in the next turn (see `pogo.edge.fanout`)."""

    def schedule(self, channel: "Channel") -> None:
        """Have the channel write in the next turn."""


class Channel:
    """Subscribers and pending frames of one channel of one app.

    Frames wait in `_pending` until the next round. A round takes all of them, joins them once, and
    writes them to the subscribers there were at its beginning, over as many turns as it needs.
    """

    __slots__ = (
        "_fanout",
        "_index",
        "_left",
        "_max_backlog",
        "_metrics",
        "_pending",
        "_pending_bytes",
        "_round",
        "_skips",
        "_special",
        "_subscribers",
        "_targets",
        "app_id",
        "name",
        "queued",
        "ready",
        "subscription",
        "waiting",
    )

    def __init__(
        self, app_id: str, name: str, *, fanout: Scheduler, metrics: EdgeMetrics, max_backlog: int
    ) -> None:
        """Make a channel that keeps at most `max_backlog` bytes of events that wait."""
        self.app_id = app_id
        self.name = name
        # The interest on the bus, and whether the bus is known to have it.
        self.subscription: Subscription | None = None
        self.ready = False
        # Connections whose subscription waits for the bus or the registry, in order.
        self.waiting: dict[Connection, None] = {}
        self.queued = False
        self._fanout = fanout
        self._metrics = metrics
        self._subscribers: dict[Connection, None] = {}
        # The subscribers side by side; made anew by the first round after a change.
        self._targets: Targets | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._max_backlog = max_backlog
        # By connection, the pending frames (by index) that it must not get.
        self._skips: dict[Connection, set[int]] = {}
        # The round that is being written: its bytes, the number of messages in them, and those
        # of its subscribers that get something else, or have left since it began; `_index` is how
        # far it has come.
        self._round: tuple[bytes, int, Targets] | None = None
        self._special: dict[Connection, tuple[bytes, int]] = {}
        self._left: dict[Connection, None] = {}
        self._index = 0

    @property
    def idle(self) -> bool:
        """Whether nobody on this edge has anything to do with the channel."""
        return not self._subscribers and not self.waiting

    @property
    def subscriptions(self) -> int:
        """How many connections are subscribed on this edge, or about to be."""
        return len(self._subscribers) + len(self.waiting)

    @property
    def has_more(self) -> bool:
        """Whether there is something left to write."""
        return self._round is not None or bool(self._pending)

    def __contains__(self, connection: object) -> bool:
        return connection in self._subscribers

    def add(self, connection: Connection) -> None:
        """Deliver to a connection whatever is delivered from now on, and nothing that waits."""
        if connection not in self._subscribers:
            self._subscribers[connection] = None
            self._targets = None
            if self._pending:
                self._skips[connection] = set(range(len(self._pending)))

    def remove(self, connection: Connection) -> None:
        """Deliver nothing more to a connection. Idempotent."""
        if connection in self._subscribers:
            del self._subscribers[connection]
            self._targets = None
            self._skips.pop(connection, None)
            self._special.pop(connection, None)
            if self._round is not None:
                self._left[connection] = None

    def deliver(self, frame: bytes, exclude: Connection | None = None) -> None:
        """Have an event written to all subscribers but one, in the next turn.

        It is dropped, and counted, where the channel has more to write already than it may.
        """
        if not self._subscribers:
            return
        if self._pending_bytes + len(frame) > self._max_backlog:
            self._metrics.dropped_by_channel += 1
            return
        if exclude is not None and exclude in self._subscribers:
            self._skips.setdefault(exclude, set()).add(len(self._pending))
        self.announce(frame)

    def deliver_except(self, frame: bytes, excluded: Iterable[Connection]) -> None:
        """Have an event written to all subscribers but some, like `deliver`."""
        index = len(self._pending)
        self.deliver(frame)
        if len(self._pending) > index:
            for connection in excluded:
                if connection in self._subscribers:
                    self._skips.setdefault(connection, set()).add(index)

    def announce(self, frame: bytes) -> None:
        """Have a frame written to all subscribers that must not be dropped: a member event."""
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        self._fanout.schedule(self)

    def write(self, budget: int) -> int:
        """Write to at most `budget` subscribers; returns to how many (1 at least)."""
        if self._round is None:
            self._begin_round()
        assert self._round is not None
        data, messages, targets = self._round
        start = self._index
        stop = min(start + budget, len(targets))
        part, first, last = targets, start, stop
        if self._left:
            part = targets.part(start, stop, without=self._left)
            first, last = 0, len(part)
        if last > first:
            part.write(first, last, data, messages)
        self._metrics.messages_out += (last - first) * messages
        if stop == len(targets):
            self._write_special()
            self._round = None
            self._left = {}
        self._index = stop
        return max(stop - start, 1)

    def _begin_round(self) -> None:
        frames, skips = self._take_frames()
        count = len(frames)
        if skips:
            targets = Targets(tuple(one for one in self._subscribers if one not in skips))
            for connection, skipped in skips.items():
                own = [frame for i, frame in enumerate(frames) if i not in skipped]
                if own:
                    self._special[connection] = b"".join(own), len(own)
        elif self._targets is not None:
            targets = self._targets
        else:
            targets = self._targets = Targets(tuple(self._subscribers))
        data = frames[0] if count == 1 else b"".join(frames)
        self._pending_bytes -= len(data)
        self._round = data, count, targets
        self._index = 0

    def _take_frames(self) -> tuple[list[bytes], dict[Connection, set[int]]]:
        """Take what fits into one round, and who must not get which of it."""
        pending, skips = self._pending, self._skips
        if self._pending_bytes <= _MAX_ROUND_BYTES:
            self._pending, self._skips = [], {}
            return pending, skips
        count = _frames_of_a_round(pending)
        self._pending = pending[count:]
        self._skips = {
            connection: {index - count for index in skipped if index >= count}
            for connection, skipped in skips.items()
            if max(skipped) >= count
        }
        return pending[:count], skips

    def _write_special(self) -> None:
        """Write to those who do not get all of the round's messages."""
        while self._special:
            connection, (data, messages) = self._special.popitem()
            connection.deliver(data, messages)
            self._metrics.messages_out += messages


def _frames_of_a_round(pending: list[bytes]) -> int:
    """Tell how many of the pending frames fit into one round: one at least."""
    size = 0
    for count, frame in enumerate(pending):
        size += len(frame)
        if size > _MAX_ROUND_BYTES and count:
            return count
    return len(pending)
