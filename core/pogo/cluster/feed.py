"""A topic's entries as far as they count: those of live nodes.

What a dead node wrote is gone from the moment that its own key is removed, whether or not the
entries themselves have been purged. What a node wrote whose key has not come yet waits for it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from pogo.registry import Change, Entry, Key


class View(Protocol):
    """Whatever is derived from the entries of a topic. Must not raise and must not block."""

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take all entries that count."""

    def put(self, entry: Entry) -> None:
        """Take an entry that counts from now on, or has a new value."""

    def removed(self, key: str) -> None:
        """Take that an entry counts no more."""

    def settle(self) -> None:
        """Tell others what has changed: the cluster is as it seems."""


class LiveFeed:
    """Stands between a watch of the registry and the view that is derived from it.

    Args:
        view: What is told of the entries that count.
        lives: Whether a node lives.
        settled: Whether the view may tell others now, or will be asked to `settle` later.
        stranger: Is told of nodes that do not live and have entries all the same.
    """

    def __init__(
        self,
        view: View,
        *,
        lives: Callable[[str], bool],
        settled: Callable[[], bool],
        stranger: Callable[[str], None],
    ) -> None:
        self._view = view
        self._lives = lives
        self._settled = settled
        self._stranger = stranger
        # All entries, by the node that wrote them, and key.
        self._entries: dict[str, dict[str, Entry]] = {}
        self._has_begun = False

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all entries of the topic."""
        self._entries = {}
        counted = []
        for entry in entries:
            node = Key.parse(entry.key).owner
            self._entries.setdefault(node, {})[entry.key] = entry
            if self._lives(node):
                counted.append(entry)
            else:
                self._stranger(node)
        self._has_begun = True
        self._view.reset(counted)
        self._settle()

    def changed(self, change: Change) -> None:
        """Take one change of the topic."""
        node = Key.parse(change.key).owner
        if change.value is None:
            entries = self._entries.get(node)
            if entries is None or entries.pop(change.key, None) is None:
                return
            if not entries:
                del self._entries[node]
            if self._lives(node):
                self._view.removed(change.key)
        else:
            entry = Entry(change.key, change.value, change.revision)
            self._entries.setdefault(node, {})[change.key] = entry
            if self._lives(node):
                self._view.put(entry)
            else:
                self._stranger(node)
        self._settle()

    def node_up(self, node: str) -> None:
        """Count what a node wrote."""
        entries = self._entries.get(node)
        if entries:
            for entry in entries.values():
                self._view.put(entry)
            self._settle()

    def node_down(self, node: str) -> None:
        """Count it no more: a node does not come back under its name."""
        entries = self._entries.pop(node, None)
        if entries:
            for key in entries:
                self._view.removed(key)
            self._settle()

    def settle(self) -> None:
        """Let the view tell others, if it knows anything yet."""
        if self._has_begun:
            self._view.settle()

    def _settle(self) -> None:
        if self._settled():
            self._view.settle()
