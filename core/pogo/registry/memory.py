"""The registry of one process: the reference for the others, and all that `pogo serve` needs."""

import secrets
from collections.abc import Iterator, Sequence

from pogo.registry.interface import (
    Change,
    Entry,
    Registry,
    RegistryError,
    RevisionMismatchError,
    StatusListener,
    Watch,
    Watcher,
    Write,
)
from pogo.registry.keys import Key, check_topic


class _Node:
    """One token of a key: a tree of them finds what is under a topic without a search."""

    __slots__ = ("children", "entry", "watches")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        # The entry of the key that ends here.
        self.entry: Entry | None = None
        # Those who follow the topic that ends here; replaced, not changed, when one comes or goes.
        self.watches: tuple[_MemoryWatch, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.entry is None and not self.children and not self.watches

    def below(self) -> Iterator[Entry]:
        """Yield the entries of all longer keys."""
        for child in self.children.values():
            if child.entry is not None:
                yield child.entry
            yield from child.below()


class _MemoryWatch:
    """One watcher's interest in one topic."""

    __slots__ = ("_registry", "stopped", "topic", "watcher")

    def __init__(self, registry: "MemoryRegistry", topic: str, watcher: Watcher) -> None:
        self._registry = registry
        self.topic = topic
        self.watcher = watcher
        self.stopped = False

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._registry.forget(self)


class MemoryRegistry:
    """Entries in a tree. It is shared by everything in the process, and by nothing else."""

    connected = True

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self._root = _Node()
        # The keys of each owner.
        self._owned: dict[str, dict[str, None]] = {}
        self._revision = 0

    async def start(self) -> None:
        """Begin; there is nothing to connect to."""

    async def close(self) -> None:
        """Forget everything."""
        self._root = _Node()
        self._owned.clear()

    def add_status_listener(self, listener: StatusListener) -> None:
        """Do nothing: it is always connected."""

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write entries; their watchers have been told when this returns."""
        return [self._write(write.key, write.value) for write in writes]

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write or remove an entry that is still at `revision`."""
        entry = self._entry(key)
        actual = 0 if entry is None else entry.revision
        if actual != revision:
            raise RevisionMismatchError(key, revision, actual)
        return self._write(key, value)

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        """Follow a topic; nothing happens between the snapshot and the first change."""
        check_topic(topic)
        watch = _MemoryWatch(self, topic, watcher)
        node = self._path(topic)[-1]
        node.watches += (watch,)
        watcher.snapshot(list(node.below()))
        return watch

    async def owned(self, owner: str) -> list[Entry]:
        """Return all entries of an owner."""
        entries = (self._entry(key) for key in self._owned.get(owner, ()))
        return [entry for entry in entries if entry is not None]

    async def purge(self, owner: str) -> None:
        """Remove all entries of an owner, without a word."""
        for key in self._owned.pop(owner, ()):
            path = self._path(key)
            path[-1].entry = None
            self._prune(key, path)

    def forget(self, watch: _MemoryWatch) -> None:
        """Drop a watch that was stopped."""
        path = self._path(watch.topic)
        path[-1].watches = tuple(other for other in path[-1].watches if other is not watch)
        self._prune(watch.topic, path)

    def _entry(self, key: str) -> Entry | None:
        node: _Node | None = self._root
        for token in key.split("."):
            node = None if node is None else node.children.get(token)
        return None if node is None else node.entry

    def _path(self, key: str) -> list[_Node]:
        """Return the nodes from the root to the key's, made where they are missing."""
        path = [self._root]
        for token in key.split("."):
            children = path[-1].children
            node = children.get(token)
            if node is None:
                node = children[token] = _Node()
            path.append(node)
        return path

    def _prune(self, key: str, path: list[_Node]) -> None:
        """Take nodes that hold nothing any more out of the tree."""
        for token, parent, node in zip(
            reversed(key.split(".")), reversed(path[:-1]), reversed(path), strict=False
        ):
            if not node.is_empty:
                return
            del parent.children[token]

    def _note_owner(self, key: str, *, owns: bool) -> None:
        owner = Key.parse(key).owner
        if owns:
            self._owned.setdefault(owner, {})[key] = None
        elif owner in self._owned:
            self._owned[owner].pop(key, None)
            if not self._owned[owner]:
                del self._owned[owner]

    def _write(self, key: str, value: bytes | None) -> int:
        self._revision += 1
        path = self._path(key)
        path[-1].entry = None if value is None else Entry(key, value, self._revision)
        self._note_owner(key, owns=value is not None)
        self._prune(key, path)
        change = Change(key, value, self._revision)
        for topic in path[1:-1]:
            for watch in topic.watches:
                if not watch.stopped:  # by a watcher that was told before it
                    watch.watcher.changed(change)
        return change.revision


_: type[Registry] = MemoryRegistry
