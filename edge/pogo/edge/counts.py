"""How many subscribers a channel has in the whole cluster, for apps that want to know.

Each edge writes its own number, off the path of whoever subscribes. Brokers add them up for
webhooks; where clients are told, each edge does so, too. Source: Pusher Channels documentation,
"Subscription count events".
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from pogo.edge.channel import Channel
from pogo.edge.connection import Connection
from pogo.edge.counting import Counting
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
"""Seconds between two counts that are written, with more subscribers than that on this edge, or
where only webhooks want to know."""


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

    def close(self) -> None:
        """Do nothing any more, and let go of whoever wanted it.

        They refer to each other; channels come and go too often to leave that to the collector.
        """
        self.cancel()
        self._work = _nothing


def _nothing() -> None:
    """Stand in for work that is over."""


class Counts:
    """The channels of this edge whose subscribers are counted."""

    def __init__(self, writer: RegistryWriter, follower: Follower) -> None:
        self._writer = writer
        self._follower = follower
        # What is written of each, and what is told of those whose clients are told.
        self._here: dict[Channel, CountHere] = {}
        self._counts: dict[Channel, ChannelCount] = {}

    def count(self, channel: Channel, counting: Counting) -> None:
        """Count a channel in this way from now on."""
        here = self._here.get(channel)
        if counting is (Counting.NOTHING if here is None else here.counting):
            return
        self.close(channel)
        if counting is Counting.NOTHING:
            return
        topic = counts_topic(channel.app_id, channel.name)
        self._here[channel] = CountHere(topic, counting, self._writer)
        if counting is Counting.CLIENTS:
            count = self._counts[channel] = ChannelCount(tell=partial(_tell, channel))
            self._follower.follow(topic, count)
        if channel.subscriptions:
            self.changed(channel)

    def changed(self, channel: Channel) -> None:
        """Take that a channel has more or fewer subscriptions, if it is counted."""
        here = self._here.get(channel)
        if here is not None:
            here.changed(channel.subscriptions)

    def tell(self, channel: Channel, connection: Connection) -> None:
        """Tell one subscriber, who was not admitted yet, what the others were told last."""
        count = self._counts.get(channel)
        if count is not None and count.told is not None:
            connection.send_message(frames.subscription_count(channel.name, count.told))

    def ready(self, channel: Channel) -> None:
        """Take that a channel has subscribers who can be told."""
        count = self._counts.get(channel)
        if count is not None:
            count.tell_again()

    def close(self, channel: Channel) -> None:
        """End the count of a channel, if there is one."""
        here = self._here.pop(channel, None)
        if here is not None:
            here.close()
        count = self._counts.pop(channel, None)
        if count is not None:
            self._follower.unfollow(count)
            count.close()


def _tell(channel: Channel, total: int) -> None:
    """Tell those who are there; whoever comes before the channel is ready is told by `ready`."""
    if channel.ready:
        channel.announce(frame_text(frames.subscription_count(channel.name, total)))


class CountHere:
    """How many subscribers of one channel are on this edge, as the registry has it."""

    def __init__(self, topic: str, counting: Counting, writer: RegistryWriter) -> None:
        self.counting = counting
        self._topic = topic
        self._writer = writer
        self._number = 0
        self._is_written = False
        self._pace = Pace(WRITE_INTERVAL, self._write)

    def changed(self, number: int) -> None:
        """Take how many there are: one at least."""
        self._number = number
        if not self._is_written or (self.counting is Counting.CLIENTS and number <= ALWAYS_TOLD):
            self._pace.hurry()
        elif self.counting >= Counting.NUMBERS:
            self._pace.ask()

    def close(self) -> None:
        """Take that there are none any more, or that nobody wants to know."""
        self._pace.close()
        self._writer.delete(self._topic, NOTHING)

    def _write(self) -> None:
        self._is_written = True
        self._writer.put(self._topic, NOTHING, b"%d" % self._number)


class ChannelCount:
    """How many subscribers one channel has on all edges. A view of the channel's counts.

    Args:
        tell: Takes each count that subscribers are to be told.
    """

    def __init__(self, *, tell: Callable[[int], None]) -> None:
        self._by_key: dict[str, int] = {}
        self._tell = tell
        # What was told last.
        self.told: int | None = None
        self._telling = Pace(INTERVAL, self._tell_now)

    def close(self) -> None:
        """Take that there is nobody to tell."""
        self._telling.close()

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
        if total == self.told:
            return
        if total <= ALWAYS_TOLD:
            self._telling.hurry()
        else:
            self._telling.ask()

    def tell_again(self) -> None:
        """Tell those who came since the last time, if there was one."""
        if self.told is not None:
            self.told = None
            self._telling.hurry()

    def _tell_now(self) -> None:
        total = sum(self._by_key.values())
        if total != self.told:
            self.told = total
            self._tell(total)
