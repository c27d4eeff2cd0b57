"""Declaring nodes dead, and clearing away what they wrote.

Whoever sees a node stand still removes its key by a compare-and-set at the revision last seen. One
of several wins; a node that beat meanwhile is spared. Purging is idempotent.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from pogo.cluster.nodes import Nodes
from pogo.cluster.silence import Silence
from pogo.registry import Registry, RegistryError
from pogo.telemetry import get_logger

_STRANGER_AFTER = 10.0
"""Seconds after which entries of a node that nobody knows are purged: its own key comes first."""

_log = get_logger()


class Reaper:
    """What one node does about others that are dead.

    Args:
        registry: Where everyone's keys are.
        nodes: Who lives.
        silence: Who has stood still.
        spawn: Runs a task whose failure is seen.
        clock: Tells the time.
    """

    def __init__(
        self,
        registry: Registry,
        nodes: Nodes,
        silence: Silence,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._nodes = nodes
        self._silence = silence
        self._spawn = spawn
        self._clock = clock
        # Nodes that entries were seen of and that nobody knows, and since when.
        self._strangers: dict[str, float] = {}

    def stranger(self, name: str) -> None:
        """Take that there are entries of a node that does not live."""
        self._strangers.setdefault(name, self._clock())

    def lives(self, name: str) -> None:
        """Take that a node lives, after all."""
        self._strangers.pop(name, None)

    def own_beat(self, own: str) -> None:
        """Take the own beat as it comes back, by which everyone else's silence is measured."""
        now = self._clock()
        others = [name for name in self._nodes if name != own]
        for name in self._silence.own_beat(now, others):
            self._spawn(self._reap(name, own))
        for name in [n for n, since in self._strangers.items() if now - since > _STRANGER_AFTER]:
            del self._strangers[name]
            if name not in self._nodes:
                self._spawn(self.purge(name))

    async def purge(self, name: str) -> None:
        """Clear away what a node wrote that does not live any more."""
        try:
            await self._registry.purge(name)
        except RegistryError as error:
            # Its entries do not count, and are purged later.
            self._strangers[name] = self._clock()
            _log.info("node not purged", node=name, reason=str(error))

    async def _reap(self, name: str, by: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        try:
            await self._registry.compare_and_set(node.key, None, node.revision)
        except RegistryError as error:
            _log.debug("node not reaped", node=name, reason=str(error))
            return
        _log.warning("node declared dead", node=name, role=node.role, by=by)
        await self.purge(name)
