"""This process as a node of the cluster: how it stays alive there, and what it knows of the others.

- **Beats** are compare-and-sets on the node's own key. One that finds the key gone tells the node
  that it was taken for dead, or that the registry began anew.
- **Reaping**: whoever sees a node stand still declares it dead (`pogo.cluster.reaper`).
- **Coming back**: under a new name, with everything written anew.
- **Settled** means that what this process sees is the cluster as it is. While it is not (the
  registry is away, the own entries are not all there, or others are still coming back to a registry
  that began anew), views take changes in and tell nobody, and tell the difference in the end. So
  nobody is announced gone who never left.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pogo.bus.subjects import encode_token
from pogo.cluster.listener import Listener
from pogo.cluster.nodes import Nodes, NodeState
from pogo.cluster.reaper import Reaper
from pogo.cluster.settlement import Settlement
from pogo.cluster.silence import Silence
from pogo.registry import (
    Change,
    Entry,
    Key,
    Registry,
    RegistryError,
    RegistryUnavailableError,
    RevisionMismatchError,
    Watch,
    Write,
)
from pogo.registry.keys import NODES, NOTHING, nodes_topic
from pogo.telemetry import get_logger


@dataclass(frozen=True, slots=True)
class Timing:
    """How a cluster keeps time; the same for all of its nodes."""

    beat: float = 2.0
    """Seconds between two beats."""
    dead_after: float = 6.0
    """Seconds without a beat after which a node is dead, and for which a node is waited for that
    may come back to a registry that began anew."""


TIMING = Timing()

_RETRY = 0.1
"""Seconds before a beat that the registry did not take is tried again."""

EDGE = "edge"
BROKER = "broker"
"""The roles of nodes."""

_log = get_logger()


class Membership:
    """One process in the cluster. It belongs to one event loop.

    Args:
        registry: Started before, closed after.
        role: `EDGE` or `BROKER`.
        process: Names the process, unlike every other one.
        ready: Whether all it has to say stands in the registry as soon as it lives.
    """

    def __init__(
        self,
        registry: Registry,
        role: str,
        process: str,
        *,
        ready: bool,
        timing: Timing = TIMING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._role = role
        self.process = encode_token(process)
        self._ready_at_once = ready
        self._ready = ready
        self.timing = timing
        self._clock = clock
        self._lives = 0
        self.name = ""
        # The revision of the own key; 0 while there is none.
        self._revision = 0
        # Whether it may be there all the same: a beat was sent, and not answered yet.
        self._is_uncertain = False
        self.nodes = Nodes()
        self.silence = Silence(beat=timing.beat, limit=timing.dead_after)
        # When a node of each role was last heard of.
        self._role_heard: dict[str, float] = {}
        self._reaper = Reaper(registry, self.nodes, self.silence, self._spawn, clock)
        self._settlement = Settlement(timing.dead_after, self._try_to_settle)
        self._listeners: list[Listener] = []
        self._wake = asyncio.Event()
        self._watch: Watch | None = None
        self._run_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._take_name()

    @property
    def known(self) -> bool:
        """Whether the nodes have ever been seen."""
        return self._watch is not None

    @property
    def sees_all(self) -> bool:
        """Whether `nodes` are all there are: the registry is there, and so is this node."""
        return self._registry.connected and self.name in self.nodes

    @property
    def is_settled(self) -> bool:
        """Whether what is seen is the cluster as it is."""
        return self._settlement.is_settled

    def lives(self, name: str) -> bool:
        """Whether a node lives, as far as is known here."""
        return name in self.nodes

    def silent_for(self, role: str) -> float:
        """Tell for how many seconds nothing was heard of any node of a role.

        The time counts only while the registry was there without a break; 0 while it is not.
        """
        since = self.silence.unbroken_since
        if since is None or not self._registry.connected:
            return 0.0
        return self._clock() - max(since, self._role_heard.get(role, since))

    def add_listener(self, listener: Listener) -> None:
        """Tell `listener` whatever happens from now on."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Become a node, as soon as the registry is there."""
        self._registry.add_status_listener(self._registry_changed)
        self._run_task = asyncio.create_task(self._run())
        self._run_task.add_done_callback(self._ended)

    def ready(self) -> None:
        """Say that everything stands in the registry under the present name."""
        if not self._ready:
            self._ready = True
            self._wake.set()

    def stranger(self, name: str) -> None:
        """Take that there are entries of a node that does not live: they may have to be purged."""
        self._reaper.stranger(name)

    async def leave(self) -> None:
        """Withdraw from the cluster.

        Raises:
            RegistryError: The registry did not take it.
        """
        self._leaving = True
        await self._stop()
        if self._revision:
            try:
                await self._registry.compare_and_set(self._key, None, self._revision)
            except RevisionMismatchError as error:
                if error.actual:
                    await self._registry.compare_and_set(self._key, None, error.actual)
        elif self._is_uncertain:
            await self._registry.write([Write(self._key, None)])
        await self._registry.purge(self.name)

    async def _stop(self) -> None:
        tasks = [task for task in (self._run_task, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._settlement.stop()
        if self._watch is not None:
            self._watch.stop()

    # What the registry tells

    def snapshot(self, entries: Sequence[Entry]) -> None:
        """Take all nodes there are."""
        known = {node.name: node.revision for node in self.nodes.all()}
        came, went = self.nodes.reset(entries)
        for node in self.nodes.all():
            # To read a node's key again is no beat.
            if node.revision != known.get(node.name):
                self._heard(node.name)
        own = self.nodes.get(self.name)
        if own is not None:
            self._revision = max(self._revision, own.revision)
        elif self._revision:
            self._lost_name()
        self._tell_nodes(came, went)

    def changed(self, change: Change) -> None:
        """Take one node's beat, or its end."""
        name = Key.parse(change.key).owner
        came, went = self.nodes.apply(change)
        if name == self.name:
            if change.value is None and change.revision > self._revision > 0:
                self._lost_name()
            elif change.value is not None:
                self._revision = max(self._revision, change.revision)
                self._reaper.own_beat(name)
        elif change.value is not None:
            self._heard(name)
        self._tell_nodes(came, went)

    def _heard(self, name: str) -> None:
        now = self._clock()
        self.silence.heard(name, now)
        node = self.nodes.get(name)
        if node is not None:
            self._role_heard[node.role] = now

    def _tell_nodes(self, came: Sequence[str], went: Sequence[str]) -> None:
        for name in went:
            self.silence.forget(name)
            for listener in self._listeners:
                listener.node_down(name)
        for name in came:
            self._reaper.lives(name)
            for listener in self._listeners:
                listener.node_up(name)
        self._try_to_settle()

    def _registry_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 (StatusListener)
        del reason
        if connected:
            self._wake.set()
            self._try_to_settle()
        else:
            self.silence.broken()
            self._unsettle()

    # Beats

    @property
    def _key(self) -> str:
        return f"{nodes_topic(self._role)}.{self.name}.{NOTHING}"

    def _take_name(self) -> None:
        self._lives += 1
        self.name = f"{self.process}-{self._lives}"
        self._revision = 0
        self._is_uncertain = False
        self._ready = self._ready_at_once

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            pause = self.timing.beat
            try:
                if self._watch is None:
                    self._watch = await self._registry.watch(NODES, self)
                await self._beat_once()
            except RegistryError as error:
                _log.debug("beat not taken", node=self.name, reason=str(error))
                self.silence.broken()
                pause = _RETRY
            except Exception:  # noqa: BLE001 (a safety net)
                # A node that beats no more would be dead while it serves.
                _log.exception("beat failed", node=self.name)
                pause = _RETRY
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _beat_once(self) -> None:
        if not self._registry.connected:
            raise RegistryUnavailableError("the registry is not connected")
        if self._is_uncertain and not self._revision:
            # The key may have been written, and removed by now: a name never lives again. What
            # was written under it is purged, unless its key turns up and is reaped.
            self._reaper.stranger(self.name)
            self._rename()
        name = self.name
        self._is_uncertain = True
        value = msgspec.json.encode(NodeState(self.process, self._ready))
        try:
            revision = await self._registry.compare_and_set(self._key, value, self._revision)
        except RevisionMismatchError as error:
            self._is_uncertain = False
            if name == self.name:
                self._beat_refused(error.actual)
        except RegistryUnavailableError:
            raise
        except RegistryError:
            # Refused: it was certainly not written.
            self._is_uncertain = False
            raise
        else:
            self._is_uncertain = False
            if name == self.name:
                self._revision = revision

    def _beat_refused(self, actual: int) -> None:
        """Find out what the own key is at: nobody else ever writes it, but it may be removed."""
        if actual:
            # An earlier beat did arrive.
            self._revision = actual
        else:
            self._lost_name()
        self._wake.set()

    def _lost_name(self) -> None:
        """Come back under a new name."""
        if self._leaving:
            return
        old = self.name
        self._rename()
        self._settlement.taken_for_dead()
        if self._settlement.is_new(self._registry.epoch):
            _log.warning("the registry began anew, coming back", node=self.name, old=old)
        else:
            _log.warning("taken for dead, coming back", node=self.name, old=old)
            # What was under way then may have been written after the purge.
            self._spawn(self._reaper.purge(old))

    def _rename(self) -> None:
        self._unsettle()
        self._take_name()
        for listener in self._listeners:
            listener.renamed()
        self._wake.set()

    def _ready_edges(self) -> set[str]:
        return {node.state.process for node in self.nodes.of_role(EDGE) if node.state.ready}

    def _unsettle(self) -> None:
        self._settlement.unsettle(self._ready_edges())

    def _try_to_settle(self) -> None:
        own = self.nodes.get(self.name)
        if self.is_settled or not self._registry.connected or own is None or not own.state.ready:
            return
        if self._settlement.settle(self._registry.epoch, self._ready_edges()):
            for listener in self._listeners:
                listener.settled()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("membership task failed", node=self.name, exc_info=error)
