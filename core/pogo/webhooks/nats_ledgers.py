"""The ledgers of apps on NATS: a stream on file storage, with a log for each app.

A record is written only behind the very record that its writer saw last: so a leader that was
deposed writes nothing more. Beside the log stands up to where its events are in the queues.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence

import msgspec
import structlog

from pogo.bus import BusUnavailableError
from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import JetStreamSession
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_messages import (
    WRONG_LAST_SEQUENCE,
    Headers,
    NoRespondersError,
    StreamOptions,
    pub,
)
from pogo.bus.nats_session import NatsServers
from pogo.bus.nats_streams import StreamServers
from pogo.bus.subjects import encode_token
from pogo.webhooks.interface import CONFIRM_TIMEOUT, DeposedError
from pogo.webhooks.ledger import Ledger, Record, decode_record, encode_record
from pogo.webhooks.nats_wire import LEDGERS_STREAM, check_end, check_payload, ledgers_config
from pogo.webhooks.places import LEDGERS
from pogo.webhooks.remote import PING_TIMEOUT, Remote, in_time

logger = structlog.get_logger()

_PAGE = 1000
_PAGE_BYTES = 1024 * 1024
"""Messages and bytes of one answer."""

_ATTEMPTS = 50
_AGAIN = 0.02
"""How often, and after how many seconds, a log is read again that somebody else went on with."""


class Log:
    """An app's log, as far as it was read or written."""

    def __init__(self, app_id: str) -> None:
        self.app_id = app_id
        self.ledger = Ledger()
        self.revision = 0
        """Of the last record."""
        self.done = 0
        """The revision up to which all events are in the queues."""
        self.events: tuple[int, Record] | None = None
        """The last record that has events, and its revision, while they may not be there yet."""
        self.read_up_to = 0

    def apply(self, revision: int, record: Record, size: int) -> None:
        """Take the next record."""
        self.ledger.apply(record, size)
        self.revision = revision
        if record.events:
            self.events = revision, record


class NatsLedgersConnection(JetStreamSession):
    """One connection to a nats-server that holds the ledgers.

    Args:
        address: Where it leads.
        violated: Is told each permission violation.
        options: How the stream is to be.
    """

    def __init__(
        self, address: Address, violated: Callable[[str], None], *, options: StreamOptions
    ) -> None:
        super().__init__(
            address,
            violated,
            stream=LEDGERS_STREAM,
            config=ledgers_config(),
            options=options,
            ping_timeout=PING_TIMEOUT,
        )

    async def open(self, name: str) -> None:
        """Connect and log in; make the stream where there is none.

        Raises:
            NoJetStreamError: JetStream is off, the server is too old, or its messages too small.
        """
        await super().open(name)
        try:
            check_payload(self._client.max_payload)
            try:
                await self._read_page(Log("-"))
            except NoRespondersError:
                await self._have_stream()
            self._is_open = True
        except BaseException:
            self.lose("the ledgers could not be opened")
            raise

    async def take(self, app_id: str) -> Log:
        """Read an app's log to its end, and write behind it that it has another leader.

        Raises:
            StoreUnavailableError, BusUnavailableError: The server did not answer, or others went on
                with the log.
        """
        log = Log(app_id)
        for _ in range(_ATTEMPTS):
            is_read = False
            while not is_read:
                async with in_time():
                    is_read = not await self._read_page(log)
            try:
                await self.append(log, Record())
            except DeposedError:
                # Or the server that was asked is behind.
                await asyncio.sleep(_AGAIN)
            else:
                return log
        raise BusUnavailableError(f"others go on with the log of {app_id}")

    async def append(self, log: Log, record: Record) -> None:
        """Write a record behind the last one.

        Raises:
            DeposedError: That is not the last one any more.
            BusUnavailableError: JetStream did not say, or refused for another reason.
        """
        encoded = encode_record(record)
        fields = b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % log.revision
        subject = _subject(log.app_id, "log")
        ack = await self._written(
            lambda reply: pub(subject, encoded, reply, fields), CONFIRM_TIMEOUT
        )
        if ack.error is None:
            log.apply(ack.seq, record, len(encoded))
        elif ack.error.err_code in WRONG_LAST_SEQUENCE:
            raise DeposedError(f"{log.app_id} is led by somebody else by now")
        else:
            raise BusUnavailableError(f"the ledger was not written: {ack.error.description}")

    def note_done(self, log: Log) -> None:
        """Write down, without waiting, that all events of the log are in the queues.

        Where that gets lost, the last ones are put there again.
        """
        log.done, log.events = log.revision, None
        self._outbox.put(pub(_subject(log.app_id, "done"), b"%d" % log.done, b""))

    async def shorten(self, log: Log) -> None:
        """Write the ledger anew, and drop all that came before.

        Raises:
            DeposedError: The app has another leader by now.
            BusUnavailableError: JetStream did not say, or refused for another reason.
        """
        first = 0
        for record in tuple(log.ledger.anew()):
            await self.append(log, record)
            first = first or log.revision
        body: dict[str, object] = {"filter": _subject(log.app_id, "*"), "seq": first}
        ack = await self._api(f"STREAM.PURGE.{LEDGERS_STREAM}", body, CONFIRM_TIMEOUT)
        if ack.error is not None:
            raise BusUnavailableError(f"nats-server does not purge: {ack.error.description}")
        log.ledger.was_written_anew()

    async def _read_page(self, log: Log) -> bool:
        """Read on in a log; returns whether there is more."""
        end, answers = await self.ask_stream(
            {
                "next_by_subj": _subject(log.app_id, "*"),
                "seq": log.read_up_to + 1,
                "batch": _PAGE,
                "max_bytes": _PAGE_BYTES,
            }
        )
        check_end(end)
        for headers, data in answers:
            log.read_up_to = headers.number(b"Nats-Sequence")
            if (headers.get(b"Nats-Subject") or b"").endswith(b".log"):
                log.apply(log.read_up_to, _record(data), len(data))
            elif data.isdigit():
                log.done = max(log.done, int(data))
        return bool(answers and end.number(b"Nats-Num-Pending"))

    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Take nothing: there is no subscription but the one for answers."""


class NatsLedgers(Remote[NatsLedgersConnection]):
    """The connection to the ledgers, kept open.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        options: How the stream is to be.
        login: Who connects, where a URL does not say, and whom to believe.
    """

    what = "ledgers"
    kind = "nats"

    def __init__(
        self, urls: Sequence[str], options: StreamOptions, login: NatsLogin = ANONYMOUS
    ) -> None:
        super().__init__()
        self.servers = StreamServers(
            NatsServers(urls, "pogo-ledgers", login),
            functools.partial(NatsLedgersConnection, options=options),
        )

    async def _open(self) -> NatsLedgersConnection:
        return await self.servers.open()


def _record(data: bytes) -> Record:
    """Read a record; what is none changes nothing."""
    try:
        return decode_record(data)
    except msgspec.MsgspecError as error:
        # Somebody published on the subject who is not a leader.
        logger.warning("a record of a ledger was ignored", reason=str(error))
        return Record()


def _subject(app_id: str, what: str) -> str:
    return f"{LEDGERS}.{encode_token(app_id)}.{what}"
