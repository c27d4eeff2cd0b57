"""One connection to a nats-server that carries the registry."""

import asyncio
import functools
import secrets
from collections.abc import Callable, Sequence

import structlog

from pogo.bus import BusUnavailableError
from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import API_TIMEOUT, JetStreamSession
from pogo.bus.nats_messages import (
    WRONG_LAST_SEQUENCE,
    Headers,
    NoRespondersError,
    StreamOptions,
)
from pogo.bus.nats_requests import Answer
from pogo.registry import nats_wire as wire
from pogo.registry.interface import (
    Entry,
    RegistryError,
    RegistryUnavailableError,
    RevisionMismatchError,
    Write,
)
from pogo.registry.nats_snapshot import read_entries
from pogo.registry.remote import PING_TIMEOUT, RegistryConnection
from pogo.registry.topics import Topic

log = structlog.get_logger()

_LEADER, _EPOCH, _FIRST_TOPIC = 2, 3, 10
"""The subscriptions' numbers."""

_MARKER_PAUSE = 0.1
"""Seconds between two markers, until one comes back."""


class NatsRegistryConnection(JetStreamSession, RegistryConnection):
    """One connection to a nats-server that carries the registry.

    Args:
        address: Where it leads.
        violated: Is told each permission violation.
        options: How the stream is to be.
        missed: Is told that changes may have been lost.
    """

    def __init__(
        self,
        address: Address,
        violated: Callable[[str], None],
        *,
        options: StreamOptions,
        missed: Callable[[], None],
    ) -> None:
        super().__init__(
            address,
            violated,
            stream=wire.STREAM,
            config=wire.STREAM_CONFIG,
            options=options,
            ping_timeout=PING_TIMEOUT,
        )
        self._missed = missed
        # Topics by the number of their subscription.
        self._topics: dict[int, Topic] = {}
        # Whoever waits for a topic's marker to come back, by the same number.
        self._markers: dict[int, asyncio.Future[int]] = {}
        self.epoch = ""

    async def open(self, name: str) -> None:
        """Connect and log in, and learn the epoch of the stream; make it where there is none.

        Raises:
            NoJetStreamError: JetStream is off, or the server is too old.
        """
        await super().open(name)
        try:
            for subject, number in (
                (wire.LEADER_ELECTED, _LEADER),
                (wire.feed_subject(wire.EPOCH_TOPIC), _EPOCH),
            ):
                self._write(b"SUB %b %d\r\n" % (subject.encode(), number))
            # Neither reading nor writing the stream needs a leader of JetStream as a whole, which
            # may be missing for a while; all that has to do with its configuration does.
            self.epoch = await self._read_epoch() or await self._begin_epoch()
            self._is_open = True
        except BaseException:
            self.lose("the registry could not be opened")
            raise

    # What is watched

    def subscribe(self, topics: Sequence[Topic]) -> None:
        """Write one SUB for each topic."""
        for topic in topics:
            number = _FIRST_TOPIC + topic.number
            self._topics[number] = topic
            self._outbox.put(b"SUB %b %d\r\n" % (wire.feed_subject(topic.name).encode(), number))

    def unsubscribe(self, topic: Topic) -> None:
        """Write an UNSUB."""
        number = _FIRST_TOPIC + topic.number
        if self._topics.pop(number, None) is not None:
            self._outbox.put(b"UNSUB %d\r\n" % number)

    async def load(self, topic: Topic) -> tuple[list[Entry], int]:
        """Read a topic from a server that has all that came before the feed began."""
        # A single server reads the SUB first, and what it answers is newer.
        reach = await self._marked(topic) if self._clustered else 0
        return await read_entries(self.ask_stream, f"{topic.name}.>", reach)

    # What is written

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Write all in one go; each is acknowledged by itself."""
        try:
            answers = await self._asked(
                [functools.partial(wire.pub_write, write.key, write.value) for write in writes],
                CONFIRM_TIMEOUT,
            )
        except BusUnavailableError as error:
            return [RegistryUnavailableError(str(error))] * len(writes)
        return [self._outcome(answer) for answer in answers]

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write if the key is at `revision`, or was removed not long ago."""
        if written := await self._write_at(key, value, revision):
            return written
        stored = await self._stored(wire.KEY_PREFIX + key)
        entry = wire.entry_of(key, stored)
        if entry is None and revision == 0 and stored.message is not None:
            # What stands there is the note of its removal.
            if written := await self._write_at(key, value, stored.message.seq):
                return written
            entry = wire.entry_of(key, await self._stored(wire.KEY_PREFIX + key))
        actual = 0 if entry is None else entry.revision
        if actual == revision:
            raise BusUnavailableError("another write to the key is under way")
        raise RevisionMismatchError(key, revision, actual)

    async def owned(self, owner: str) -> list[Entry]:
        """Read the keys whose fourth token is `owner`."""
        entries, _ = await read_entries(self.ask_stream, f"*.*.*.{owner}.*", 0)
        return entries

    async def purge(self, owner: str) -> None:
        """Have JetStream drop the keys whose fourth token is `owner`."""
        body: dict[str, object] = {"filter": f"{wire.KEY_PREFIX}*.*.*.{owner}.*"}
        ack = await self._api(f"STREAM.PURGE.{wire.STREAM}", body)
        if ack.error is not None:
            raise BusUnavailableError(f"nats-server does not purge: {ack.error.description}")

    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Take a change, or what the server tells of the stream."""
        topic = self._topics.get(sid)
        if topic is not None:
            try:
                change = wire.change_of(headers, data)
            except ValueError as error:
                # Somebody published on the subject who is not the stream.
                log.warning("a message of the registry was ignored", reason=str(error))
                return
            if not wire.is_marker(change.key):
                topic.changed(change)
                return
            waiting = self._markers.get(sid)
            if waiting is not None and not waiting.done():
                waiting.set_result(change.revision)
        elif sid == _LEADER:
            self._missed()
        elif sid == _EPOCH and self.epoch not in ("", data.decode()):
            self.lose("the registry began anew")

    async def _marked(self, topic: Topic) -> int:
        """Write the topic's marker until it comes back, and return its revision.

        Then the server that leads the stream knows of the subscription, whatever lies between.
        """
        number = _FIRST_TOPIC + topic.number
        waiting = self._markers[number] = self._expect()
        try:
            for _ in range(int(API_TIMEOUT / _MARKER_PAUSE)):
                self._check_room()
                self._outbox.flush()
                self._transport.send(wire.pub_marker(topic.name))
                await asyncio.wait([waiting], timeout=_MARKER_PAUSE)
                if waiting.done() or not topic.watched:
                    break
            revision: int = self._result(waiting, API_TIMEOUT)
            return revision
        finally:
            del self._markers[number]
            waiting.cancel()

    async def _write_at(self, key: str, value: bytes | None, revision: int) -> int:
        """Write if the key's subject is at that sequence, and return the new one; else 0.

        Raises:
            BusUnavailableError: JetStream did not say, or refused for another reason.
        """
        ack = await self._written(
            lambda reply: wire.pub_write(key, value, reply, revision), CONFIRM_TIMEOUT
        )
        if ack.error is None:
            return ack.seq
        if ack.error.err_code in WRONG_LAST_SEQUENCE:
            return 0
        raise BusUnavailableError(ack.error.description)

    def _outcome(self, answer: Answer | None) -> int | RegistryError:
        if answer is None:
            return RegistryUnavailableError(str(self._late(CONFIRM_TIMEOUT)))
        try:
            ack = self._ack(answer)
        except NoRespondersError as error:
            return RegistryUnavailableError(str(error))
        return ack.seq if ack.error is None else RegistryError(ack.error.description)

    # The stream

    async def _read_epoch(self) -> str:
        """Read what is never written twice, so that any server of the cluster may answer."""
        try:
            entries, _ = await read_entries(self.ask_stream, wire.EPOCH_KEY, 0)
        except NoRespondersError:
            return ""
        return entries[0].value.decode() if entries else ""

    async def _begin_epoch(self) -> str:
        """Make the stream if there is none, and name its life."""
        await self._have_stream()
        mine = secrets.token_hex(8)
        if await self._write_at(wire.EPOCH_KEY, mine.encode(), 0):
            return mine
        epoch = await self._read_epoch()
        if not epoch:
            raise BusUnavailableError("the registry's epoch is not there yet")
        return epoch
