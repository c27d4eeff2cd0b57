"""The registry of one process: the reference for the others, and all that `pogo serve` needs."""

from pogo.registry.interface import Change, Entry, Registry, RevisionMismatchError, Watch, Watcher


class _MemoryWatch:
    """One watcher's interest in one topic."""

    __slots__ = ("_registry", "topic", "watcher")

    def __init__(self, registry: "MemoryRegistry", topic: str, watcher: Watcher) -> None:
        self._registry = registry
        self.topic = topic
        self.watcher = watcher

    def stop(self) -> None:
        self._registry.forget(self)


class MemoryRegistry:
    """Entries in a dictionary. It is shared by everything in the process, and by nothing else."""

    shared = True
    connected = True

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        # Watches by topic. A key has few tokens, so a change looks each of its topics up.
        self._watches: dict[str, list[_MemoryWatch]] = {}

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._watches.clear()

    async def put(self, key: str, value: bytes) -> int:
        return self._write(key, value)

    async def delete(self, key: str) -> None:
        if key in self._entries:
            self._write(key, None)

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        entry = self._entries.get(key)
        actual = 0 if entry is None else entry.revision
        if actual != revision:
            raise RevisionMismatchError(key, revision, actual)
        return self._write(key, value)

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        watch = _MemoryWatch(self, topic, watcher)
        self._watches.setdefault(topic, []).append(watch)
        prefix = topic + "."
        watcher.snapshot([e for key, e in self._entries.items() if key.startswith(prefix)])
        return watch

    def forget(self, watch: _MemoryWatch) -> None:
        """Drop a watch that was stopped."""
        watches = self._watches.get(watch.topic)
        if watches is not None and watch in watches:
            watches.remove(watch)
            if not watches:
                del self._watches[watch.topic]

    def _write(self, key: str, value: bytes | None) -> int:
        self._revision += 1
        if value is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = Entry(key, value, self._revision)
        change = Change(key, value, self._revision)
        dot = key.find(".")
        while dot != -1:
            for watch in tuple(self._watches.get(key[:dot], ())):
                watch.watcher.changed(change)
            dot = key.find(".", dot + 1)
        return self._revision


_: type[Registry] = MemoryRegistry
