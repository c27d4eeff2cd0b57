"""How many subscribers a channel has in the whole cluster, for apps that tell their clients.

Each edge writes its own number, off the path of whoever subscribes, and adds up everyone's. Source:
Pusher Channels documentation, "Subscription count events".
"""

import asyncio
from collections.abc import Callable, Sequence

from pogo.edge.channel import Channel
from pogo.edge.follower import Follower
from pogo.edge.registry_writer import RegistryWriter
from pogo.edge.websocket import frame_text
from pogo.pusher import frames
from pogo.registry import Entry
from pogo.registry.keys import NOTHING, counts_topic

ALWAYS_TOLD = 100
"""Subscribers up to which every change is told at once."""

INTERVAL = 5.0
"""Seconds between two counts that are told, with more subscribers than that."""

WRITE_INTERVAL = 1.0
"""Seconds between two counts that are written, with more subscribers than that on this edge."""


class Pace:
    """Does something at once, or at most every so many seconds."""

    def __init__(self, interval: float, work: Callable[[], None]) -> None:
        self._interval = interval
        self._work = work
        self._done_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hurry(self) -> None:
        """Do it now."""
        self.cancel()
        self._done_at = asyncio.get_running_loop().time()
        self._work()

    def ask(self) -> None:
        """Do it as soon as the interval is over."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        due = self._done_at + self._interval
        if due <= loop.time():
            self.hurry()
        else:
            self._timer = loop.call_at(due, self.hurry)

    def cancel(self) -> None:
        """Do not do what was asked for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Counts:
    """The channels of this edge whose subscribers are counted."""

    def __init__(self, writer: RegistryWriter, follower: Follower) -> None:
        self._writer = writer
        self._follower = follower
        self._counts: dict[Channel, ChannelCount] = {}

    def open(self, channel: Channel) -> None:
        """Begin to count a channel."""

        def tell(total: int) -> None:
            # Nobody is there to be told before; whoever is then is told by `ready`.
            if not channel.ready:
                return
            channel.announce(frame_text(frames.subscription_count(channel.name, total)))

        count = ChannelCount(channel.app_id, channel.name, writer=self._writer, tell=tell)
        self._counts[channel] = count
        self._follower.follow(count.topic, count)

    def changed(self, channel: Channel) -> None:
        """Take that a channel has more or fewer subscriptions, if it is counted."""
        count = self._counts.get(channel)
        if count is not None:
            count.subscribed(channel.subscriptions)

    def ready(self, channel: Channel) -> None:
        """Take that a channel has subscribers who can be told."""
        count = self._counts.get(channel)
        if count is not None:
            count.tell_again()

    def close(self, channel: Channel) -> None:
        """End the count of a channel, if there is one."""
        count = self._counts.pop(channel, None)
        if count is not None:
            self._follower.unfollow(count)
            count.close()


class ChannelCount:
    """The subscribers of one channel. A view of the channel's counts.

    Args:
        tell: Takes each count that subscribers are to be told.
    """

    def __init__(
        self, app_id: str, channel: str, *, writer: RegistryWriter, tell: Callable[[int], None]
    ) -> None:
        self.topic = counts_topic(app_id, channel)
        self._writer = writer
        self._here = 0
        self._by_key: dict[str, int] = {}
        self._tell = tell
        self._told: int | None = None
        self._writing = Pace(WRITE_INTERVAL, self._write)
        self._telling = Pace(INTERVAL, self._tell_now)

    def subscribed(self, here: int) -> None:
        """Take how many subscribers there are on this edge."""
        self._here = here
        if here <= ALWAYS_TOLD:
            self._writing.hurry()
        else:
            self._writing.ask()

    def close(self) -> None:
        """Take that there are none on this edge any more, and nobody to tell."""
        self._writing.cancel()
        self._telling.cancel()
        self._writer.delete(self.topic, NOTHING)

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take the counts of all edges."""
        self._by_key = {entry.key: int(entry.value) for entry in entries}

    def put(self, entry: Entry) -> None:
        """Take the count of one edge."""
        self._by_key[entry.key] = int(entry.value)

    def removed(self, key: str) -> None:
        """Take that an edge has no subscribers any more."""
        self._by_key.pop(key, None)

    def settle(self) -> None:
        """Tell how many there are, now or soon."""
        total = sum(self._by_key.values())
        if total == self._told:
            return
        if total <= ALWAYS_TOLD:
            self._telling.hurry()
        else:
            self._telling.ask()

    def tell_again(self) -> None:
        """Tell those who came since the last time, if there was one."""
        if self._told is not None:
            self._told = None
            self._telling.hurry()

    def _write(self) -> None:
        self._writer.put(self.topic, NOTHING, b"%d" % self._here)

    def _tell_now(self) -> None:
        total = sum(self._by_key.values())
        if total != self._told:
            self._told = total
            self._tell(total)
