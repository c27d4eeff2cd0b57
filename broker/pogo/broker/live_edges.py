"""Whether anyone is there to deliver to, as the registry tells it."""

import time
from collections.abc import Callable, Sequence

from pogo.registry import Change, Entry, Registry, Watch
from pogo.registry.keys import NODES

ABSENCE = 6.0
"""Seconds without any node after which no edge is alive: as long as a node may fail to beat."""


class LiveEdges:
    """Follows the nodes of the cluster.

    In doubt there are edges: without a registry that all nodes share, while it is away, and until
    it has shown no node for `absence` seconds on end. An adapter that lost its feed is trusted to
    say so by `connected`, and to pass on a new snapshot before it says `connected` again.
    """

    def __init__(
        self,
        registry: Registry | None,
        *,
        absence: float = ABSENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry if registry is not None and registry.shared else None
        self._absence = absence
        self._clock = clock
        self._nodes: set[str] = set()
        # Since when the view has been empty and unbroken; `None` while it is not.
        self._empty_since: float | None = None
        self._watch: Watch | None = None

    async def start(self) -> None:
        """Begin to follow.

        Raises:
            RegistryUnavailableError: The registry is away.
        """
        if self._registry is not None:
            self._watch = await self._registry.watch(NODES, self)

    def stop(self) -> None:
        """Stop following: from now on there is doubt. Idempotent."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
        self._empty_since = None

    def none_alive(self) -> bool:
        """Whether it is certain that no edge is alive."""
        if self._empty_since is None or self._registry is None:
            return False
        if not self._registry.connected:
            self._empty_since = None
            return False
        return self._clock() - self._empty_since >= self._absence

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all nodes there are; the clock starts anew."""
        self._nodes = {entry.key for entry in entries}
        self._empty_since = None if self._nodes else self._clock()

    def changed(self, change: Change) -> None:
        """Take one node that came or went."""
        if change.value is not None:
            self._nodes.add(change.key)
            self._empty_since = None
        elif change.key in self._nodes:
            self._nodes.remove(change.key)
            if not self._nodes:
                self._empty_since = self._clock()
