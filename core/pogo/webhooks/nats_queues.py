"""The queues of endpoints on NATS: a stream on file storage, with a subject for each queue.

Events are read straight from the stream and removed by a purge: no consumer, whose position would
be a second truth beside what the stream holds. NATS drops an id that it has seen in the last two
minutes, and tells everyone of each event that it has stored by the headers of it.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence

import structlog

from pogo.bus import BusUnavailableError
from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import JetStreamSession
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_messages import Headers, NoRespondersError, StreamOptions, encode, pub
from pogo.bus.nats_requests import Answer
from pogo.bus.nats_session import NatsServers
from pogo.bus.nats_streams import StreamServers
from pogo.bus.subjects import encode_token
from pogo.webhooks.interface import (
    CONFIRM_TIMEOUT,
    MAX_EVENT_BYTES,
    Item,
    Queue,
    QueueFullError,
    Stored,
    StoreUnavailableError,
    WebhookStoreError,
)
from pogo.webhooks.nats_wire import (
    QUEUES_STREAM,
    Info,
    check_end,
    check_payload,
    decode_info,
    queues_config,
)
from pogo.webhooks.places import EVENTS, HINTS, queue_of, queue_tokens
from pogo.webhooks.remote import PING_TIMEOUT, Remote, store_fitting

log = structlog.get_logger()

_HINTS = 2
"""The subscription's number."""

_STORE_FAILED = 10077
_FULL = ("maximum messages per subject exceeded", "maximum bytes exceeded")
"""How JetStream says that a stream takes no more."""

_EVENT_OVERHEAD = 400
"""Bytes that JetStream takes at most for an event beside its body, with short names."""

_HEAD_ROOM = 1024
"""Bytes that the head of an event takes at the most: NATS counts them with its body."""

_PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of one answer, as soon as it has an event."""

_CATCH_UP = (0.01, 0.02, 0.04, 0.08, 0.16)
"""Seconds between attempts to read what a server of the cluster has and another has not yet."""


class NatsQueuesConnection(JetStreamSession):
    """One connection to a nats-server that holds the queues.

    Args:
        address: Where it leads.
        violated: Is told each permission violation.
        queue_size: Events that each queue may hold.
        options: How the stream is to be.
        stored: Is told the queue of each event that was stored.
    """

    def __init__(
        self,
        address: Address,
        violated: Callable[[str], None],
        *,
        queue_size: int,
        options: StreamOptions,
        stored: Callable[[Queue], None],
    ) -> None:
        super().__init__(
            address,
            violated,
            stream=QUEUES_STREAM,
            config=queues_config(queue_size),
            options=options,
            ping_timeout=PING_TIMEOUT,
        )
        self._queue_size = queue_size
        self._stored_event = stored
        # Up to where each queue goes, as far as it was told.
        self._hinted: dict[Queue, int] = {}

    async def open(self, name: str) -> None:
        """Connect and log in; make the stream where there is none.

        Raises:
            NoJetStreamError: JetStream is off, the server is too old, or its messages too small.
        """
        await super().open(name)
        try:
            check_payload(self._client.max_payload)
            # Whoever has the stream may say so. To see that it is as it should be needs a leader of
            # JetStream as a whole, which may be missing for a while.
            try:
                await self.ask_stream({"next_by_subj": f"{EVENTS}.-.-", "seq": 1, "batch": 1})
            except NoRespondersError:
                await self._have_stream()
            self._is_open = True
            self._write(b"SUB %b.*.* %d\r\n" % (HINTS.encode(), _HINTS))
            await self.flush()
        except BaseException:
            self.lose("the queues could not be opened")
            raise

    async def configure(self) -> bool:
        """Change the stream if it is not as it should be.

        While a queue is longer than it may be by now, it is left alone: NATS would drop events.
        Returns whether it is as it should be.
        """
        reason = f"a queue has more than {self._queue_size} events"
        try:
            lengths = (await self._info(f"{EVENTS}.>")).state.subjects.values()
        except BusUnavailableError as error:
            reason = str(error)
        else:
            if max(lengths, default=0) <= self._queue_size:
                return await super().configure()
        log.warning("stream keeps its configuration", stream=QUEUES_STREAM, reason=reason)
        return False

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Write all in one go; each is acknowledged by itself.

        What the server would cut the connection for is not sent.
        """
        limit = min(MAX_EVENT_BYTES, self._client.max_payload - _HEAD_ROOM)
        return await store_fitting(items, limit, self._enqueue)

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Ask whichever servers have the stream, until one has what was told of the queue.

        Raises:
            BusUnavailableError: None did answer in time.
        """
        for pause in (*_CATCH_UP, None):
            events = await self._read(queue, after, limit)
            if events or pause is None or self._hinted.get(queue, 0) <= after:
                break
            await asyncio.sleep(pause)
        reached = events[-1].sequence if events else 0
        # What has not come by now was removed by somebody else.
        if not events or self._hinted.get(queue, 0) <= reached:
            self._hinted.pop(queue, None)
        return events

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Have JetStream drop a queue's events up to a place.

        Raises:
            BusUnavailableError: It did not say that it has.
        """
        body: dict[str, object] = {"filter": _subject(queue), "seq": up_to + 1}
        ack = await self._api(f"STREAM.PURGE.{QUEUES_STREAM}", body, CONFIRM_TIMEOUT)
        if ack.error is not None:
            raise BusUnavailableError(f"nats-server does not purge: {ack.error.description}")

    async def size(self, queue: Queue) -> int:
        """Ask how many messages a queue's subject has.

        Raises:
            BusUnavailableError: It did not say.
        """
        subject = _subject(queue)
        return (await self._info(subject)).state.subjects.get(subject, 0)

    async def check_room(self, app_id: str, items: Sequence[Item]) -> None:
        """See that the queues of an app have room for events.

        Raises:
            QueueFullError: They have not.
            BusUnavailableError: The server did not say.
        """
        info = await self._info(f"{EVENTS}.{encode_token(app_id)}.*")
        new: dict[Queue, int] = {}
        for item in items:
            new[item.queue] = new.get(item.queue, 0) + 1
        for queue, count in new.items():
            if info.state.subjects.get(_subject(queue), 0) + count > self._queue_size:
                raise QueueFullError(f"{queue.endpoint} has {self._queue_size} events already")
        size = sum(_EVENT_OVERHEAD + len(item.body) for item in items)
        if 0 <= info.config.max_bytes < info.state.bytes + size:
            raise QueueFullError(f"all queues have {info.config.max_bytes} bytes already")

    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Take the headers of an event that was stored."""
        del sid, data
        subject = headers.get(b"Nats-Subject") or b""
        try:
            queue = queue_of(subject[len(EVENTS) + 1 :])
            sequence = headers.number(b"Nats-Sequence")
        except ValueError as error:
            # Somebody published on the subject who is not the stream.
            log.warning("a hint of a webhook was ignored", reason=str(error))
            return
        if self._clustered:
            self._hinted[queue] = sequence
        self._stored_event(queue)

    async def _enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        commands = [functools.partial(_pub_event, item) for item in items]
        answers = await self._asked(commands, CONFIRM_TIMEOUT)
        return [self._outcome(answer) for answer in answers]

    async def _read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        end, answers = await self.ask_stream(
            {
                "next_by_subj": _subject(queue),
                "seq": after + 1,
                "batch": limit,
                "max_bytes": _PAGE_BYTES,
            }
        )
        check_end(end)
        return [Stored(headers.number(b"Nats-Sequence"), body) for headers, body in answers]

    async def _info(self, subjects: str) -> Info:
        api, body = (
            f"$JS.API.STREAM.INFO.{QUEUES_STREAM}",
            encode({"subjects_filter": subjects}),
        )
        (answer,) = await self._asked([lambda reply: pub(api, body, reply)], CONFIRM_TIMEOUT)
        if answer is None:
            raise self._late(CONFIRM_TIMEOUT)
        self._check_answered(answer[0])
        info = decode_info(answer[1])
        if info.error is not None:
            raise BusUnavailableError(info.error.description)
        return info

    def _outcome(self, answer: Answer | None) -> WebhookStoreError | None:
        if answer is None:
            return StoreUnavailableError(str(self._late(CONFIRM_TIMEOUT)))
        try:
            ack = self._ack(answer)
        except NoRespondersError as error:
            return StoreUnavailableError(str(error))
        if ack.error is None:
            return None
        if ack.error.err_code == _STORE_FAILED and ack.error.description in _FULL:
            return QueueFullError(ack.error.description)
        return WebhookStoreError(ack.error.description)


class NatsQueues(Remote[NatsQueuesConnection]):
    """The connection to the queues, kept open.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        queue_size: Events that each queue may hold.
        options: How the stream is to be.
        stored: Is told the queue of each event that was stored.
        login: Who connects, where a URL does not say, and whom to believe.
    """

    what = "webhooks"
    kind = "nats"

    def __init__(
        self,
        urls: Sequence[str],
        queue_size: int,
        options: StreamOptions,
        stored: Callable[[Queue], None],
        login: NatsLogin = ANONYMOUS,
    ) -> None:
        super().__init__()
        self.servers = StreamServers(
            NatsServers(urls, "pogo-webhooks", login),
            functools.partial(
                NatsQueuesConnection, queue_size=queue_size, options=options, stored=stored
            ),
        )

    async def _open(self) -> NatsQueuesConnection:
        return await self.servers.open()


def _subject(queue: Queue) -> str:
    return f"{EVENTS}.{queue_tokens(queue)}"


def _pub_event(item: Item, reply: bytes) -> bytes:
    """Write an event. Ids are of the whole stream, so the queue is a part of them."""
    tokens = queue_tokens(item.queue)
    fields = b"Nats-Msg-Id: %b.%b\r\n" % (tokens.encode(), encode_token(item.id).encode())
    return pub(f"{EVENTS}.{tokens}", item.body, reply, fields)
