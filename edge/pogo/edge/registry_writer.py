"""Brings the registry to the state that this edge's connections are in."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable

from pogo.cluster import Listener, Membership
from pogo.edge.metrics import EdgeMetrics
from pogo.registry import Key, Registry, RegistryError, RegistryUnavailableError, Write
from pogo.registry.keys import NODES
from pogo.telemetry import get_logger

_log = get_logger()

_BATCH = 500
"""Writes that are under way at a time."""

_RETRY = 0.2
"""Seconds before what the registry did not take is tried again."""

REPAIR_INTERVAL = 300.0
"""Seconds between two looks at whether the registry holds what it should."""

_MAX_REFUSALS = 100
"""Reasons that are remembered, so that each is logged once."""

Place = tuple[str, str]
"""A key without its owner, which is always this edge: its topic and its item."""


class RegistryWriter(Listener):
    """Writes what is wanted, under the name that this edge has in the cluster.

    What is to be written is kept as the desired state of each place: the last word on a place
    wins, one write to it is under way at a time, and a registry that is away costs no more memory
    than the entries that are there or wanted.
    """

    def __init__(self, registry: Registry, membership: Membership, metrics: EdgeMetrics) -> None:
        self._registry = registry
        self._membership = membership
        self._metrics = metrics
        self._desired: dict[Place, bytes] = {}
        # What is to be written and removed. Removals go first: who leaves makes room.
        self._puts: dict[Place, None] = {}
        self._deletes: dict[Place, None] = {}
        # What is to be removed in a while.
        self._lingering: dict[Place, asyncio.TimerHandle] = {}
        # What the registry may have.
        self._attempted: set[Place] = set()
        # What has to be written before everything is there under the present name.
        self._unready: set[Place] = set()
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._reconnected = asyncio.Event()
        self._refusals: set[str] = set()
        registry.add_status_listener(self._registry_changed)
        membership.add_listener(self)

    @property
    def waiting(self) -> int:
        """How many writes the registry has not confirmed."""
        return len(self._puts) + len(self._deletes)

    def put(self, topic: str, item: str, value: bytes) -> None:
        """Have an entry written."""
        place = topic, item
        self._stay(place)
        self._desired[place] = value
        self._deletes.pop(place, None)
        self._puts[place] = None
        self._written.clear()
        self._wake.set()

    def delete(self, topic: str, item: str, linger: float = 0.0) -> None:
        """Have an entry removed, in `linger` seconds unless it is wanted again by then."""
        place = topic, item
        self._stay(place)
        if linger:
            loop = asyncio.get_running_loop()
            self._lingering[place] = loop.call_later(linger, self.delete, topic, item)
            return
        self._desired.pop(place, None)
        self._puts.pop(place, None)
        self._unready.discard(place)
        if place in self._attempted:
            self._deletes[place] = None
            self._written.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything has been written."""
        await self._written.wait()

    async def run(self) -> None:
        """Write, for ever."""
        while True:
            self._wake.clear()
            while self._deletes or self._puts:
                if not self._registry.connected or not await self._write_some():
                    await asyncio.sleep(_RETRY)
                self._tell_ready()
            self._tell_ready()
            self._written.set()
            await self._wake.wait()

    async def run_repairs(self) -> None:
        """See to it, after each reconnection and from time to time, that nothing is missing."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPAIR_INTERVAL):
                    await self._reconnected.wait()
            self._reconnected.clear()
            await self._repair()

    # What the membership tells

    def renamed(self) -> None:
        """Write everything anew: nothing is there under the new name."""
        self._deletes.clear()
        self._attempted.clear()
        self._puts = dict.fromkeys(self._desired)
        self._unready = set(self._desired)
        self._written.clear()
        self._wake.set()

    def _registry_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 (StatusListener)
        del reason
        if connected:
            # What was confirmed before may be lost: a Redis fail-over, say.
            self._reconnected.set()
            self._wake.set()

    def _tell_ready(self) -> None:
        if not self._unready:
            self._membership.ready()

    async def _write_some(self) -> bool:
        """Write a batch; returns whether the registry took all of it."""
        name = self._membership.name
        # Half of it for either, if there is enough: what is refused holds up nothing else.
        puts = self._first(self._puts, _BATCH)
        deletes = self._first(self._deletes, max(_BATCH // 2, _BATCH - len(puts)))
        batch = [*deletes, *puts][:_BATCH]
        values = [self._desired.get(place) for place in batch]
        self._attempted.update(batch)
        outcomes = await self._registry.write(
            [
                Write(str(Key(topic, name, item)), value)
                for (topic, item), value in zip(batch, values, strict=True)
            ]
        )
        if name != self._membership.name:
            # It was for a name that nobody knows any more.
            return True
        failure: RegistryError | None = None
        for place, value, outcome in zip(batch, values, outcomes, strict=True):
            if isinstance(outcome, RegistryError):
                failure = outcome
                self._try_later(place)
            else:
                self._confirmed(place, value)
        if failure is not None:
            self._refused(failure)
        return failure is None

    def _stay(self, place: Place) -> None:
        """Do not remove later what was to be removed later."""
        timer = self._lingering.pop(place, None)
        if timer is not None:
            timer.cancel()

    def _first(self, places: Iterable[Place], count: int) -> list[Place]:
        return list(itertools.islice(places, count))

    def _confirmed(self, place: Place, value: bytes | None) -> None:
        self._unready.discard(place)
        # Unless it is to have another value, or none, by now.
        if self._desired.get(place) is value:
            self._puts.pop(place, None)
            self._deletes.pop(place, None)
            if value is None:
                self._attempted.discard(place)

    def _try_later(self, place: Place) -> None:
        """Let whatever the registry refuses not keep the others waiting."""
        for places in (self._puts, self._deletes):
            if place in places:
                del places[place]
                places[place] = None

    def _refused(self, error: RegistryError) -> None:
        self._metrics.registry_write_failures.inc()
        reason = str(error)
        if isinstance(error, RegistryUnavailableError):
            _log.debug("registry writes wait", reason=reason)
        elif reason not in self._refusals and len(self._refusals) < _MAX_REFUSALS:
            self._refusals.add(reason)
            _log.error("the registry refuses what this edge writes", reason=reason)

    async def _repair(self) -> None:
        """Write again what is missing, and remove what is left over."""
        name = self._membership.name
        if not self._membership.lives(name):
            return
        try:
            entries = await self._registry.owned(name)
        except RegistryError as error:
            _log.debug("registry not repaired", reason=str(error))
            return
        if name != self._membership.name:
            return
        found: dict[Place, bytes] = {}
        for entry in entries:
            key = Key.parse(entry.key)
            found[key.topic, key.item] = entry.value
        missing = [p for p, value in self._desired.items() if found.get(p) != value]
        surplus = [p for p in found if p not in self._desired and not p[0].startswith(f"{NODES}.")]
        self._attempted.update(surplus)
        for place in missing:
            self._puts[place] = None
        for place in surplus:
            self._deletes[place] = None
        if missing or surplus:
            self._written.clear()
            self._wake.set()
