"""Records on NATS: a JetStream key-value bucket in memory, with a lifetime for each message."""

import functools
from collections.abc import Callable, Sequence

from pogo.bus import BusError
from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import JetStreamSession
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_messages import (
    NO_SEQUENCE,
    WRONG_LAST_SEQUENCE,
    Headers,
    NoRespondersError,
    StreamOptions,
    encode,
    first_sequence,
    pub,
)
from pogo.bus.nats_requests import Answer
from pogo.bus.nats_session import NatsServers
from pogo.bus.nats_streams import StreamServers
from pogo.records.interface import (
    CONFIRM_TIMEOUT,
    Record,
    RecordMismatchError,
    Records,
    RecordsError,
    RecordsUnavailableError,
    Write,
)
from pogo.records.remote import PING_TIMEOUT, RecordsConnection, RemoteRecords

__all__ = ["NatsRecords", "StreamOptions"]

_STREAM_OPTIONS = StreamOptions()

# All writes have the same width, so that a bucket that is full takes a record in place of another
# one that is no smaller.
_TTL = b"Nats-TTL: %04ds\r\n"
_EXPECTED = b"Nats-Expected-Last-Subject-Sequence: %020d\r\n"

_HEAD_ROOM = 128
"""Bytes that the head of a write takes at the most: NATS counts them with its value."""

_NOTHING = 404


def _stream_config(prefix: str) -> dict[str, object]:
    return {
        "description": "Short-lived records of Pogo",
        "subjects": [f"{prefix}>"],
        "retention": "limits",
        "storage": "memory",
        "max_msgs_per_subject": 1,
        # A full bucket refuses what is new; the other policy would forget what was promised.
        "discard": "new",
        "allow_direct": True,
        "allow_msg_ttl": True,
        # Writes carry no message id to look for.
        "duplicate_window": 100_000_000,
        "first_seq": first_sequence(),
    }


class NatsRecordsConnection(JetStreamSession, RecordsConnection):
    """One connection to a nats-server that holds a bucket.

    Args:
        address: Where it leads.
        violated: Is told each permission violation.
        bucket: The bucket's name.
        options: How its stream is to be.
    """

    def __init__(
        self,
        address: Address,
        violated: Callable[[str], None],
        *,
        bucket: str,
        options: StreamOptions,
    ) -> None:
        self._prefix = f"$KV.{bucket}."
        super().__init__(
            address,
            violated,
            stream=f"KV_{bucket}",
            config=_stream_config(self._prefix),
            options=options,
            ping_timeout=PING_TIMEOUT,
        )

    async def open(self, name: str) -> None:
        """Connect and log in; make the stream where there is none.

        Raises:
            NoJetStreamError: JetStream is off, or the server is too old.
        """
        await super().open(name)
        try:
            # Whoever has the stream may say so. To see that it is as it should be needs a leader of
            # JetStream as a whole, which may be missing for a while.
            try:
                await self.get(["-"])
            except NoRespondersError:
                await self._have_stream()
            self._is_open = True
        except BaseException:
            self.lose("the records could not be opened")
            raise

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write all in one go; each is acknowledged by itself.

        What the server would cut the connection for is not sent.
        """
        limit = self._client.max_payload - _HEAD_ROOM
        outcomes: dict[str, int | RecordsError] = {}
        sent: list[Write] = []
        for write in writes:
            size = len(write.value or b"")
            if size > limit:
                outcomes[write.key] = RecordsError(f"the record has {size} bytes, over {limit}")
            else:
                sent.append(write)
        if sent:
            answers = await self._asked(
                [functools.partial(self._command, write) for write in sent], CONFIRM_TIMEOUT
            )
            for write, answer in zip(sent, answers, strict=True):
                outcomes[write.key] = self._outcome(write, answer)
        return [outcomes[write.key] for write in writes]

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Ask whichever servers have the stream."""
        subject = f"$JS.API.DIRECT.GET.{self._stream}"
        bodies = [encode({"last_by_subj": self._prefix + key}) for key in keys]
        answers = await self._asked(
            [functools.partial(pub, subject, body) for body in bodies], CONFIRM_TIMEOUT
        )
        return [self._record(answer) for answer in answers]

    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Take nothing: there is no subscription but the one for answers."""

    def _command(self, write: Write, reply: bytes) -> bytes:
        if write.value is not None:
            fields = _TTL % write.ttl
            if write.revision is not None:
                fields += _EXPECTED % write.revision
            return pub(self._prefix + write.key, write.value, reply, fields)
        # The subject has one message, so this removes the record at that revision and no other.
        # A note of its removal would stand in the way of the next one.
        body = encode({"seq": write.revision, "no_erase": True})
        return pub(f"$JS.API.STREAM.MSG.DELETE.{self._stream}", body, reply)

    def _outcome(self, write: Write, answer: Answer | None) -> int | RecordsError:
        if answer is None:
            return RecordsUnavailableError(str(self._late(CONFIRM_TIMEOUT)))
        try:
            ack = self._ack(answer)
        except NoRespondersError as error:
            return RecordsUnavailableError(str(error))
        if ack.error is None:
            return ack.seq
        if ack.error.err_code in (*WRONG_LAST_SEQUENCE, NO_SEQUENCE):
            return RecordMismatchError(f"{write.key} is not at {write.revision}")
        return RecordsError(ack.error.description)

    def _record(self, answer: Answer | None) -> Record | None:
        """Read an answer.

        Raises:
            BusUnavailableError: None came, or nobody has the stream.
            RecordsError: The server could not read.
        """
        if answer is None:
            raise self._late(CONFIRM_TIMEOUT)
        headers, data = answer
        self._check_answered(headers)
        if headers.status == _NOTHING:
            return None
        if headers.status:
            raise RecordsError(f"nats-server could not read: status {headers.status}")
        return Record(data, headers.number(b"Nats-Sequence"))


class NatsRecords(RemoteRecords):
    """A bucket on one nats-server or on a cluster of them, on a connection of its own.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        bucket: The bucket's name; its stream is called `KV_` and that.
        options: How the stream is to be.
        login: Who connects, where a URL does not say, and whom to believe.
    """

    kind = "nats"

    def __init__(
        self,
        urls: Sequence[str],
        bucket: str,
        options: StreamOptions = _STREAM_OPTIONS,
        *,
        login: NatsLogin = ANONYMOUS,
    ) -> None:
        super().__init__(f"records of {bucket}")
        self._servers = StreamServers(
            NatsServers(urls, f"pogo-{bucket}", login),
            functools.partial(NatsRecordsConnection, bucket=bucket, options=options),
        )

    async def start(self) -> None:
        """Read the URLs, and connect or begin trying to.

        Raises:
            RecordsError: A URL is none, JetStream is off, or the server too old.
        """
        try:
            self._servers.parse()
        except BusError as error:
            raise RecordsError(str(error)) from error
        await super().start()
        if self._servers.unfit is not None and not self.connected:
            await self.close()
            raise RecordsError(str(self._servers.unfit)) from self._servers.unfit

    async def _open(self) -> RecordsConnection:
        return await self._servers.open()


_: type[Records] = NatsRecords
