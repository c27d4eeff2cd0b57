"""What this process watches: a table that is the same for every adapter with a server."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from pogo.registry.interface import Change, Entry, Watcher
from pogo.registry.keys import check_topic

log = structlog.get_logger()

_T = TypeVar("_T")


class TopicWatch:
    """One watcher's interest in one topic."""

    __slots__ = ("_topics", "begun", "stopped", "topic", "watcher")

    def __init__(self, topics: "Topics", topic: "Topic", watcher: Watcher) -> None:
        self._topics = topics
        self.topic = topic
        self.watcher = watcher
        # Whether it has had a snapshot.
        self.begun = False
        self.stopped = False

    def stop(self) -> None:
        """End it. Idempotent."""
        if not self.stopped:
            self.stopped = True
            self._topics.remove(self)


class Topic:
    """One topic that somebody watches; the server is told of it once."""

    __slots__ = ("_floor", "_meanwhile", "_watches", "loading", "name", "number")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        # Never used twice in one process.
        self.number = number
        self._watches: tuple[TopicWatch, ...] = ()
        # Held while a snapshot is being read: one at a time.
        self.loading = asyncio.Lock()
        # Changes up to this revision are in the snapshot, even if they come after it.
        self._floor = 0
        # The changes since a snapshot was asked for; `None` while none is.
        self._meanwhile: list[Change] | None = None

    @property
    def watched(self) -> bool:
        """Whether anyone watches it still."""
        return bool(self._watches)

    def add(self, watch: TopicWatch) -> None:
        """Have a watcher told, too. It begins with the next snapshot."""
        self._watches += (watch,)

    def remove(self, watch: TopicWatch) -> None:
        """Tell a watcher nothing more."""
        self._watches = tuple(other for other in self._watches if other is not watch)

    def begin_snapshot(self) -> None:
        """Keep what changes from now on, because a snapshot may or may not have it."""
        self._meanwhile = []

    def abandon_snapshot(self) -> None:
        """Stop keeping: there will be no snapshot."""
        self._meanwhile = None

    def end_snapshot(self, entries: Sequence[Entry], floor: int) -> None:
        """Pass a snapshot on, with what has changed since it was asked for.

        It has all changes up to the revision `floor`, of which some may come late.
        """
        self._floor = floor
        current = {entry.key: entry for entry in entries}
        meanwhile, self._meanwhile = self._meanwhile or (), None
        for change in meanwhile:
            known = current.get(change.key)
            if change.revision <= max(floor, 0 if known is None else known.revision):
                continue
            if change.value is None:
                current.pop(change.key, None)
            else:
                current[change.key] = Entry(change.key, change.value, change.revision)
        snapshot = list(current.values())
        for watch in self._watches:
            watch.begun = True
            if not watch.stopped:  # by a watcher that was told before it
                _tell(self, watch.watcher.snapshot, snapshot)

    def changed(self, change: Change) -> None:
        """Pass one change on."""
        if self._meanwhile is not None:
            self._meanwhile.append(change)
        elif change.revision <= self._floor:
            return
        for watch in self._watches:
            if watch.begun and not watch.stopped:
                _tell(self, watch.watcher.changed, change)


def _tell(topic: Topic, tell: Callable[[_T], None], what: _T) -> None:
    try:
        tell(what)
    except Exception:
        # A safety net: watchers promise not to raise, and a feed that stopped here would leave
        # every other one with a stale view.
        log.exception("registry watcher failed", topic=topic.name)


class Topics:
    """All topics that are watched, by name.

    Args:
        unwatched: Is told each topic whose last watch was stopped.
    """

    def __init__(self, unwatched: Callable[[Topic], None]) -> None:
        self._unwatched = unwatched
        self._topics: dict[str, Topic] = {}
        self._numbers = 0

    def __iter__(self) -> Iterator[Topic]:
        return iter(list(self._topics.values()))

    def get(self, name: str) -> Topic | None:
        """Return a topic, if anyone watches it."""
        return self._topics.get(name)

    def add(self, name: str, watcher: Watcher) -> TopicWatch:
        """Have a topic watched by one more.

        Raises:
            ValueError: It has no tokens, or more than a topic has.
        """
        check_topic(name)
        topic = self._topics.get(name)
        if topic is None:
            self._numbers += 1
            topic = self._topics[name] = Topic(name, self._numbers)
        watch = TopicWatch(self, topic, watcher)
        topic.add(watch)
        return watch

    def remove(self, watch: TopicWatch) -> None:
        """Forget a watch that was stopped, and its topic if it was the last."""
        topic = watch.topic
        topic.remove(watch)
        if not topic.watched:
            del self._topics[topic.name]
            self._unwatched(topic)
