"""A registry whose store is elsewhere: what the NATS and Redis adapters share.

Its supervisor keeps one connection open for ever. A new one is told of every topic that is watched
and reads each of them anew before it counts; from time to time, topics are read again, so that a
change that was lost without anyone noticing is not lost for long.
"""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import structlog

from pogo.bus import BusUnavailableError
from pogo.bus.connection import Connection
from pogo.bus.supervised import Supervised
from pogo.registry.concurrency import for_each
from pogo.registry.interface import (
    Entry,
    RegistryError,
    RegistryUnavailableError,
    Watch,
    Watcher,
    Write,
)
from pogo.registry.topics import Topic, Topics

log = structlog.get_logger()

REFRESH_INTERVAL = 60.0
"""Seconds within which every topic is read again."""

PING_TIMEOUT = 1.5
"""Seconds that the store may leave a ping unanswered. A node whose connection hangs has to be back
on another one before the others take it for dead."""

_AT_ONCE = 64
"""Topics that are read at the same time."""

_MIN_PAUSE = 0.05
"""Seconds between two topics that are read again: with more than 1,200 of them, it takes longer."""


class RegistryConnection(Connection):
    """One connection to the store. It passes changes on to the topics it was told of."""

    epoch: str
    """The life of the store, known once the connection is open."""

    @abstractmethod
    def subscribe(self, topics: Sequence[Topic]) -> None:
        """Have the changes of these topics passed on; takes effect before a later `load`."""

    @abstractmethod
    def unsubscribe(self, topic: Topic) -> None:
        """Have its changes passed on no more."""

    @abstractmethod
    async def load(self, topic: Topic) -> tuple[list[Entry], int]:
        """Read all entries of a topic, none of them older than the feed is.

        Returns them, and a revision up to which changes that come later are in them already; 0
        where none can come.

        Raises:
            BusUnavailableError: The store did not answer in time, or the connection was lost.
        """

    @abstractmethod
    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write: see `Registry.write`."""

    @abstractmethod
    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write: see `Registry.compare_and_set`; `BusUnavailableError` where it is away."""

    @abstractmethod
    async def owned(self, owner: str) -> list[Entry]:
        """Read: see `Registry.owned`; `BusUnavailableError` where it is away."""

    @abstractmethod
    async def purge(self, owner: str) -> None:
        """Remove: see `Registry.purge`; `BusUnavailableError` where it is away."""


class RemoteRegistry(Supervised[RegistryConnection]):
    """What the NATS and Redis adapters share: everything but their connections."""

    what = "registry"

    def __init__(self, *, refresh_interval: float = REFRESH_INTERVAL) -> None:
        super().__init__()
        self.epoch = ""
        self._topics = Topics(self._unwatched)
        self._refresh_interval = refresh_interval
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the supervisor, wait for its first attempt, and read topics again from then on."""
        await super().start()
        self._spawn(self._refresh())

    async def close(self) -> None:
        """End the connection and stop the supervisor."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await super().close()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write on the connection there is, or fail at once."""
        try:
            return await self._ready().write(writes)
        except RegistryUnavailableError as error:
            return [error] * len(writes)

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write on the connection there is, or fail at once."""
        with _translated():
            return await self._ready().compare_and_set(key, value, revision)

    async def owned(self, owner: str) -> list[Entry]:
        """Read on the connection there is, or fail at once."""
        with _translated():
            return await self._ready().owned(owner)

    async def purge(self, owner: str) -> None:
        """Remove on the connection there is, or fail at once."""
        with _translated():
            await self._ready().purge(owner)

    async def watch(self, topic: str, watcher: Watcher) -> Watch:
        """Follow a topic on the connection there is, or fail at once."""
        connection = self._ready()
        is_new = self._topics.get(topic) is None
        watch = self._topics.add(topic, watcher)
        if is_new:
            connection.subscribe([watch.topic])
        try:
            with _translated():
                await _load(connection, watch.topic)
        except BaseException:
            watch.stop()
            raise
        return watch

    def _ready(self) -> RegistryConnection:
        connection = self._supervisor.ready
        if connection is None:
            raise RegistryUnavailableError(
                f"not connected to {self.kind}: {self._supervisor.reason}"
            )
        return connection

    def _unwatched(self, topic: Topic) -> None:
        connection = self._supervisor.connection
        if connection is not None:
            connection.unsubscribe(topic)

    async def _restore(self, connection: RegistryConnection) -> None:
        self.epoch = connection.epoch
        topics = list(self._topics)
        connection.subscribe(topics)
        await _load_all(connection, topics)

    def _missed(self) -> None:
        """Read all topics again, because changes may have been lost; called by a connection."""
        connection = self._supervisor.ready
        if connection is not None:
            self._spawn(self._reload(connection))

    async def _reload(self, connection: RegistryConnection) -> None:
        try:
            await _load_all(connection, list(self._topics))
        except BusUnavailableError as error:
            # A new connection reads everything, this one has to go on until it is lost.
            connection.lose(f"could not read the registry again: {error}")

    async def _refresh(self) -> None:
        while True:
            topics = list(self._topics)
            pause = max(_MIN_PAUSE, self._refresh_interval / max(1, len(topics)))
            for topic in topics or (None,):
                await asyncio.sleep(pause)
                connection = self._supervisor.ready
                if topic is None or connection is None or not topic.watched:
                    continue
                try:
                    await _load(connection, topic)
                except BusUnavailableError as error:
                    log.debug("registry topic not read again", topic=topic.name, reason=str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("registry task failed", registry=self.kind, exc_info=task.exception())


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise what a connection raises in the registry's terms."""
    try:
        yield
    except BusUnavailableError as error:
        raise RegistryUnavailableError(str(error)) from error


async def _load(connection: RegistryConnection, topic: Topic) -> None:
    """Read a topic and pass the snapshot on."""
    async with topic.loading:
        topic.begin_snapshot()
        try:
            entries, floor = await connection.load(topic)
        except BaseException as error:
            topic.abandon_snapshot()
            if isinstance(error, BusUnavailableError) and not topic.watched:
                # Nobody wants to know any more, and the server was told so.
                return
            raise
        topic.end_snapshot(entries, floor)


async def _load_all(connection: RegistryConnection, topics: Sequence[Topic]) -> None:
    """Read many topics, some at a time.

    Raises:
        BusUnavailableError: One of them could not be read.
    """

    async def load(topic: Topic) -> None:
        if topic.watched:
            await _load(connection, topic)

    await for_each(topics, load, at_once=_AT_ONCE)
