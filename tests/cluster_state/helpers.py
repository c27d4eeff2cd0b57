"""Processes of a cluster within one process, each with a way to the store that can be cut."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

from pogo.cluster import EDGE, Listener, Membership, Timing
from pogo.registry import (
    Entry,
    RegistryError,
    RegistryUnavailableError,
    StatusListener,
    Watch,
    Watcher,
    Write,
)
from pogo.registry.keys import nodes_topic
from pogo.registry.memory import MemoryRegistry

QUICK = Timing(beat=0.04, dead_after=0.12)


def node_key(name: str, role: str = EDGE) -> str:
    """Name the key by which a node lives."""
    return f"{nodes_topic(role)}.{name}.-"


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event of its own)
            await asyncio.sleep(0.005)


class _LinkWatch:
    """A watch that outlives a cut."""

    def __init__(self, topic: str, watcher: Watcher) -> None:
        self.topic = topic
        self.watcher = watcher
        self.inner: Watch | None = None
        self.stopped = False

    def cut(self) -> None:
        if self.inner is not None:
            self.inner.stop()

    def stop(self) -> None:
        self.stopped = True
        self.cut()


class Link:
    """One process's way to a store that others share. It can be cut, and led to another store."""

    def __init__(self, store: MemoryRegistry) -> None:
        self.store = store
        self.epoch = store.epoch
        self.connected = True
        self._listeners: list[StatusListener] = []
        self._watches: list[_LinkWatch] = []

    def cut(self) -> None:
        """Let the store be away."""
        self.connected = False
        for watch in self._watches:
            watch.cut()
        for listener in self._listeners:
            listener(False, "cut")  # noqa: FBT003 (a StatusListener)

    async def mend(self, store: MemoryRegistry | None = None) -> None:
        """Let it be back, or another one that began anew; watchers are up to date first."""
        self.store = store or self.store
        self.epoch = self.store.epoch
        for watch in self._watches:
            if not watch.stopped:
                watch.inner = await self.store.watch(watch.topic, watch.watcher)
        self.connected = True
        for listener in self._listeners:
            listener(True, "")  # noqa: FBT003 (a StatusListener)

    async def start(self) -> None:
        """Do nothing: the store is there."""

    async def close(self) -> None:
        """Do nothing: the store belongs to the test."""

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` for each cut and its end."""
        self._listeners.append(listener)

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write, or fail."""
        if not self.connected:
            return [RegistryUnavailableError("cut")] * len(writes)
        return await self.store.write(writes)

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write, or fail."""
        self._check()
        return await self.store.compare_and_set(key, value, revision)

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        """Follow a topic across cuts."""
        self._check()
        watch = _LinkWatch(topic, watcher)
        watch.inner = await self.store.watch(topic, watcher)
        self._watches.append(watch)
        return watch

    async def owned(self, owner: str) -> list[Entry]:
        """Read, or fail."""
        self._check()
        return await self.store.owned(owner)

    async def purge(self, owner: str) -> None:
        """Remove, or fail."""
        self._check()
        await self.store.purge(owner)

    def _check(self) -> None:
        if not self.connected:
            raise RegistryUnavailableError("cut")


class Told(Listener):
    """A listener that keeps what it is told, in order; names are those of nodes."""

    def __init__(self, member: Membership) -> None:
        self._member = member
        self.events: list[str] = []
        member.add_listener(self)

    def node_up(self, name: str) -> None:
        """Note who came."""
        self.events.append(f"+{name}")

    def node_down(self, name: str) -> None:
        """Note who went."""
        self.events.append(f"-{name}")

    def renamed(self) -> None:
        """Note the new name."""
        self.events.append(f"renamed {self._member.name}")

    def settled(self) -> None:
        """Note that this is all there is."""
        self.events.append("settled")


class Seen:
    """A view that keeps what counts, and what it has told others."""

    def __init__(self) -> None:
        self.counted: dict[str, bytes] = {}
        # Each key that was told to be gone.
        self.removals: list[str] = []
        # What counted at each time that others were told.
        self.told: list[list[str]] = []

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take all that counts."""
        self.counted = {entry.key: entry.value for entry in entries}

    def put(self, entry: Entry) -> None:
        """Take one entry."""
        self.counted[entry.key] = entry.value

    def removed(self, key: str) -> None:
        """Take that one is gone."""
        self.removals.append(key)
        del self.counted[key]

    def settle(self) -> None:
        """Tell."""
        self.told.append(sorted(self.counted))


class Cluster:
    """Some processes and their store."""

    def __init__(self) -> None:
        self.store = MemoryRegistry()
        self._members: list[Membership] = []

    def join(
        self, process: str = "", *, link: Link | None = None, role: str = EDGE, ready: bool = True
    ) -> tuple[Membership, Told]:
        """Let one more process join."""
        member = Membership(
            link or Link(self.store),
            role,
            process or secrets.token_hex(4),
            ready=ready,
            timing=QUICK,
        )
        told = Told(member)
        member.start()
        self._members.append(member)
        return member, told

    async def until_whole(self) -> None:
        """Wait until everybody knows everybody, and is settled."""
        names = {member.name for member in self._members}
        await until(
            lambda: all(names == set(each.nodes) and each.is_settled for each in self._members)
        )

    async def close(self) -> None:
        """Let all of them leave; whoever is cut off just stops."""
        for member in self._members:
            try:
                await member.leave()
            except RegistryUnavailableError:
                continue
