"""A session with NATS that asks JetStream questions, and waits for the answers."""

import asyncio
import contextlib
import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence

import structlog

from pogo.bus.connection import CONFIRM_TIMEOUT, PING_TIMEOUT, describe
from pogo.bus.interface import BusError, BusUnavailableError
from pogo.bus.nats_client import Address, NatsClient
from pogo.bus.nats_messages import (
    NO_MESSAGE,
    NOT_ENABLED,
    STREAM_NOT_FOUND,
    Ack,
    Headers,
    NoRespondersError,
    Stored,
    StreamOptions,
    decode_ack,
    decode_stored,
    encode,
    pub,
)
from pogo.bus.nats_requests import Answer, Questions
from pogo.bus.nats_session import NatsSession

log = structlog.get_logger()

API_TIMEOUT = 4.0
"""Seconds for what JetStream's own leader has to do, to create the stream for example."""

_CONFIGURE_TIMEOUT = 2.0
"""Seconds in which a stream is changed; else the next connection tries."""

_DIRECT_TIMEOUTS = (0.2, 0.4, 0.8, 1.6)
"""Seconds that the servers which were picked one after the other have for their answer."""

_INBOX = 1
"""The number of the subscription for answers; others are up to whoever subscribes."""

_NO_RESPONDERS = 503

_MIN_VERSION = (2, 11)
"""Of nats-server: older ones keep the note of every removed key for ever."""

_DEFAULT_REPLICAS = 3

NO_JETSTREAM = (
    "JetStream is off on this nats-server, and the state of the cluster lives in it: start it "
    "with `nats-server --jetstream`, or write `jetstream {}` into its configuration"
)


class NoJetStreamError(BusError):
    """The server cannot hold a stream of ours as it is configured."""


class JetStreamClient(NatsClient):
    """A client that passes whole messages on."""

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        del reply
        owner = self._owner
        assert isinstance(owner, JetStreamSession)
        owner.received(sid, bytes(subject), headers, data)


class JetStreamSession(NatsSession):
    """One connection to a nats-server with JetStream, for the sake of one stream.

    Args:
        address: Where it leads.
        violated: Is told each permission violation.
        stream: The stream's name.
        config: How the stream is to be.
        options: How else.
        ping_timeout: Seconds until an unanswered ping means that the server is gone.
    """

    def __init__(
        self,
        address: Address,
        violated: Callable[[str], None],
        *,
        stream: str,
        config: dict[str, object],
        options: StreamOptions,
        ping_timeout: float = PING_TIMEOUT,
    ) -> None:
        super().__init__(address, violated, client=JetStreamClient, ping_timeout=ping_timeout)
        self._stream = stream
        self._config = config
        self._options = options
        self._inbox = b"_INBOX.%b" % secrets.token_hex(11).encode()
        self._questions = Questions(self._inbox, self._expect)
        # Whether others may hold the stream, and hear of a subscription later.
        self._clustered = False
        # Whether the stream was there.
        self._is_open = False

    async def open(self, name: str) -> None:
        """Connect and log in, and be ready for answers.

        Raises:
            NoJetStreamError: The server is too old.
        """
        await super().open(name)
        server = self._client.server_info
        self._clustered = bool(server.get("cluster"))
        self._write(b"SUB %b.* %d\r\n" % (self._inbox, _INBOX))
        try:
            _check_version(str(server.get("version", "0")))
        except NoJetStreamError:
            self.lose("the server is too old")
            raise

    def received(self, sid: int, subject: bytes, raw_headers: bytes | None, data: bytes) -> None:
        """Take one message."""
        headers = Headers(raw_headers or b"")
        if sid == _INBOX:
            self._questions.answered(subject, headers, data)
        else:
            self._told(sid, headers, data)

    @abstractmethod
    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Take a message that is no answer."""

    async def _written(self, commands: Callable[[bytes], bytes], within: float) -> Ack:
        """Ask one question that is acknowledged; `commands` writes it, given where to answer.

        Raises:
            BusUnavailableError: It was not, in time or at all.
        """
        (answer,) = await self._asked([commands], within)
        if answer is None:
            raise self._late(within)
        return self._ack(answer)

    async def _asked(
        self, commands: Sequence[Callable[[bytes], bytes]], within: float
    ) -> list[Answer | None]:
        """Ask several questions in one go; returns the answers that came in time."""
        self._check_room()
        question, replies = self._questions.many(len(commands))
        # Behind subscriptions that wait, ahead of whatever is answered.
        self._outbox.flush()
        self._transport.send(
            b"".join([command(reply) for command, reply in zip(commands, replies, strict=True)])
        )
        try:
            await self._answer(question.done, within)
        except BusUnavailableError:
            self._questions.forget(replies)
        return question.answers

    async def _api(self, what: str, body: dict[str, object], within: float = API_TIMEOUT) -> Ack:
        """Ask JetStream to do something.

        Raises:
            NoJetStreamError: There is no JetStream.
            BusUnavailableError: It did not say in time.
        """
        try:
            ack = await self._written(
                lambda reply: pub(f"$JS.API.{what}", encode(body), reply), within
            )
        except NoRespondersError:
            raise NoJetStreamError(NO_JETSTREAM) from None
        if ack.error is not None and ack.error.err_code in NOT_ENABLED:
            raise NoJetStreamError(NO_JETSTREAM)
        return ack

    async def configure(self) -> bool:
        """Change the stream if it is not as it should be; it works meanwhile.

        Returns whether it is.
        """
        try:
            async with asyncio.timeout(_CONFIGURE_TIMEOUT):
                await self._have_stream()
        except (TimeoutError, BusError) as error:
            reason = describe(error)
            log.warning("stream keeps its configuration", stream=self._stream, reason=reason)
            return False
        return True

    async def _have_stream(self) -> None:
        """See that the stream is there, and as it should be.

        Raises:
            NoJetStreamError: JetStream is off.
            BusUnavailableError: It does not say, or refuses.
        """
        default = _DEFAULT_REPLICAS if self._clustered else 1
        config = {
            **self._config,
            "name": self._stream,
            "num_replicas": self._options.replicas or default,
            "max_bytes": self._options.max_bytes,
        }
        ack = await self._api(f"STREAM.INFO.{self._stream}", {}, CONFIRM_TIMEOUT)
        if ack.error is None and ack.config is not None and ack.config.matches(config):
            return
        if ack.error is None or ack.error.err_code == STREAM_NOT_FOUND:
            verb = "UPDATE" if ack.error is None else "CREATE"
            if ack.error is None:
                # Only a new stream may begin there: of one that is, NATS would drop what is before.
                config.pop("first_seq", None)
            ack = await self._api(f"STREAM.{verb}.{self._stream}", config)
        if ack.error is not None:
            raise BusUnavailableError(
                f"nats-server refuses the stream {self._stream}: {ack.error.description}"
            )

    async def _stored(self, subject: str) -> Stored:
        """Ask the stream's leader for the last message of a subject.

        Raises:
            BusUnavailableError: It did not say.
        """
        body = encode({"last_by_subj": subject})
        api = f"$JS.API.STREAM.MSG.GET.{self._stream}"
        (answer,) = await self._asked([lambda reply: pub(api, body, reply)], CONFIRM_TIMEOUT)
        if answer is None:
            raise self._late(CONFIRM_TIMEOUT)
        self._check_answered(answer[0])
        stored = decode_stored(answer[1])
        if stored.error is not None and stored.error.err_code != NO_MESSAGE:
            raise BusUnavailableError(stored.error.description)
        return stored

    async def ask_stream(self, body: dict[str, object]) -> tuple[Headers, list[Answer]]:
        """Ask whichever server has the stream for many of its messages.

        NATS picks one of them, which may have stopped a moment ago: so it is asked again soon.

        Returns the headers of the end, and the messages before it.

        Raises:
            BusUnavailableError: None did give them all, in time or at all.
        """
        for within in _DIRECT_TIMEOUTS[:-1]:
            with contextlib.suppress(BusUnavailableError):
                return await self._ask_stream_once(body, within)
            if self.lost.done():
                break
        return await self._ask_stream_once(body, _DIRECT_TIMEOUTS[-1])

    async def _ask_stream_once(
        self, body: dict[str, object], within: float
    ) -> tuple[Headers, list[Answer]]:
        self._check_room()
        question, reply = self._questions.stream()
        self._outbox.flush()
        self._transport.send(pub(f"$JS.API.DIRECT.GET.{self._stream}", encode(body), reply))
        try:
            await self._answer(question.done, within)
        finally:
            self._questions.forget([reply])
        self._check_answered(question.end)
        return question.end, question.answers

    def _ack(self, answer: Answer) -> Ack:
        headers, data = answer
        self._check_answered(headers)
        return decode_ack(data)

    def _check_answered(self, headers: Headers) -> None:
        if headers.status == _NO_RESPONDERS:
            # The stream is gone, or has no leader: what there is then has to be found out anew.
            error = NoRespondersError(f"on {self.server}, nobody has the stream {self._stream}")
            if self._is_open:
                self.lose(str(error))
            raise error

    def _late(self, within: float) -> BusUnavailableError:
        if self.lost.done():
            return BusUnavailableError(self.lost.result())
        return BusUnavailableError(f"no answer from {self.server} within {within:g} s")


def _check_version(version: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < _MIN_VERSION:
        needed = ".".join(map(str, _MIN_VERSION))
        raise NoJetStreamError(f"nats-server {version} is too old: {needed} or newer is needed")
