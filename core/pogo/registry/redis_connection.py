"""A connection to Redis that keeps the registry.

Whatever reads or writes is a script, and each script is given the epoch that the connection learnt
when it was opened. Once the store has another one, the connection gives itself up.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pogo.bus import BusRefusedError, BusUnavailableError
from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.redis_link import Link, command
from pogo.bus.redis_scripts import Script, ScriptSession
from pogo.registry.interface import (
    Change,
    Entry,
    RegistryError,
    RegistryUnavailableError,
    RevisionMismatchError,
    Write,
)
from pogo.registry.redis_scripts import (
    COMPARE_AND_SET,
    EPOCH_ERROR,
    EPOCH_KEY,
    OWNED,
    PURGE,
    PUT,
    REMOVED,
    SCRIPTS,
    SNAPSHOT,
    WRITE,
)
from pogo.registry.remote import PING_TIMEOUT, RegistryConnection
from pogo.registry.topics import Topic

BEGAN_ANEW = "the registry began anew"

STEP = 500
"""Entries that one script reads or removes at the most, where it may take several."""

_READ_TIMEOUT = 3.0
"""Seconds for a snapshot; with the pings before and behind it, loading takes five at the most."""


class RedisRegistryConnection(ScriptSession, RegistryConnection):
    """A session with a redis-server that keeps the registry: see `RedisSession`.

    Args:
        subject: What the topics' subjects begin with.
    """

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        refused: Callable[[str], None],
        *,
        subject: str,
    ) -> None:
        super().__init__(server, listening, publishing, refused, ping_timeout=PING_TIMEOUT)
        self._subject = subject.encode()
        # The topics whose changes are passed on, by their subjects.
        self._topics: dict[bytes, Topic] = {}
        # The subjects that the server said it has.
        self._subscribed: set[bytes] = set()

    def subscribe(self, topics: Sequence[Topic]) -> None:
        """Write one SUBSCRIBE for each topic, so that one that is refused harms no other."""
        for topic in topics:
            subject = self._subject_of(topic)
            self._topics[subject] = topic
            self._changes.put(command(b"SUBSCRIBE", subject))

    def unsubscribe(self, topic: Topic) -> None:
        """Write an UNSUBSCRIBE, unless the server was not told of the topic yet."""
        if self._topics.pop(self._subject_of(topic), None) is not None:
            self._changes.put(command(b"UNSUBSCRIBE", self._subject_of(topic)))

    async def flush(self, within: float = CONFIRM_TIMEOUT) -> None:
        """Ping both connections, and see that the store was not emptied meanwhile."""
        await super().flush(within)
        (epoch,) = await self._replies([command(b"GET", EPOCH_KEY)], within)
        if not isinstance(epoch, Exception) and epoch != self.epoch.encode():
            self.lose(BEGAN_ANEW)

    async def load(self, topic: Topic) -> tuple[list[Entry], int]:
        """Read a topic between two pings of the subscribed connection.

        The first says that the server passes changes on; the second comes behind all those that
        the snapshot has already, so that none of them is taken for a later one.
        """
        self._changes.flush()
        await self._answer(self._ping(), CONFIRM_TIMEOUT)
        subject = self._subject_of(topic)
        if self._topics.get(subject) is topic and subject not in self._subscribed:
            raise BusUnavailableError(f"{self.server} does not pass on {subject.decode()}")
        tokens = b"%d" % (topic.name.count(".") + 1)
        try:
            found = await self._call(SNAPSHOT, _READ_TIMEOUT, topic.name.encode(), tokens)
        except RegistryError as error:
            raise BusUnavailableError(str(error)) from error
        await self._answer(self._ping(), CONFIRM_TIMEOUT)
        entries = [
            _entry(b"%b.%b" % (name, field), stored)
            for name, fields in _pairs(found)
            for field, stored in _pairs(fields)
        ]
        return entries, 0

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Do all writes in one script, which nobody sees half done."""
        arguments: list[bytes] = []
        for write in writes:
            arguments += (write.key.encode(), _encode(write.value))
        try:
            outcomes = await self._call(WRITE, CONFIRM_TIMEOUT, self._subject, *arguments)
        except BusUnavailableError as error:
            return [RegistryUnavailableError(str(error))] * len(writes)
        except RegistryError as error:
            return [error] * len(writes)
        return [self._outcome(outcome) for outcome in outcomes]

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Compare and write in one script."""
        arguments = (self._subject, key.encode(), _encode(value), b"%d" % revision)
        done, actual = await self._call(COMPARE_AND_SET, CONFIRM_TIMEOUT, *arguments)
        if not done:
            raise RevisionMismatchError(key, revision, actual)
        return int(actual)

    async def owned(self, owner: str) -> list[Entry]:
        """Read in steps; whoever asks is the owner, and knows what it wrote meanwhile."""
        entries: dict[bytes, Entry] = {}
        cursor = None
        while cursor != b"0":
            arguments = (owner.encode(), cursor or b"0", b"%d" % STEP)
            cursor, found = await self._call(OWNED, CONFIRM_TIMEOUT, *arguments)
            entries |= {key: _entry(key, stored) for key, stored in _pairs(found)}
        return list(entries.values())

    async def purge(self, owner: str) -> None:
        """Remove in steps, so that Redis has time for others between them."""
        arguments = (owner.encode(), b"%d" % STEP)
        while await self._call(PURGE, CONFIRM_TIMEOUT, *arguments) == STEP:
            pass

    async def _prepare(self) -> None:
        """Load the scripts and learn the epoch; an empty store is given one by whoever is first."""
        _, epoch = await self._load(
            SCRIPTS,
            first=[
                command(b"SET", EPOCH_KEY, secrets.token_hex(8).encode(), b"NX"),
                command(b"GET", EPOCH_KEY),
            ],
        )
        if epoch is None:
            raise BusUnavailableError(BEGAN_ANEW)
        self.epoch = epoch.decode()

    async def _call(self, script: Script, within: float, *arguments: bytes) -> Any:
        """Run a script.

        Raises:
            BusUnavailableError: There was no reply in time, or the connection was lost.
            RegistryError: The server refused.
        """
        try:
            return await self._run_script(script, within, self.epoch.encode(), *arguments)
        except BusRefusedError as error:
            raise RegistryError(str(error)) from error

    def _outcome(self, outcome: int | bytes) -> int | RegistryError:
        if isinstance(outcome, int):
            return outcome
        text = outcome.decode(errors="replace")
        self._refused(text)
        return RegistryError(text)

    def _subject_of(self, topic: Topic) -> bytes:
        return self._subject + topic.name.encode()

    def _delivered(self, subject: bytes, payload: bytes) -> None:
        topic = self._topics.get(subject)
        if topic is not None:
            topic.changed(_change(payload))

    def _noted(self, what: bytes, subject: bytes) -> None:
        if what == b"subscribe":
            self._subscribed.add(subject)
        else:
            self._subscribed.discard(subject)

    def _failed(self, error: Exception) -> None:
        """Give the connection up where only another one can do better."""
        if str(error).startswith(EPOCH_ERROR):
            self.lose(BEGAN_ANEW)
        else:
            super()._failed(error)


def _encode(value: bytes | None) -> bytes:
    return REMOVED if value is None else PUT + value


def _entry(key: bytes, stored: bytes) -> Entry:
    revision, _, value = stored.partition(PUT)
    return Entry(key.decode(), value, int(revision))


def _change(payload: bytes) -> Change:
    key, _, written = payload.partition(b" ")
    revision, put, value = written.partition(PUT)
    if put:
        return Change(key.decode(), value, int(revision))
    return Change(key.decode(), None, int(revision.removesuffix(REMOVED)))


def _pairs(flat: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a flat list two by two, as Redis returns what it maps."""
    items = iter(flat)
    return zip(items, items, strict=True)
