"""A session with NATS that asks JetStream questions, and waits for the answers."""

import contextlib
import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence

from pogo.bus import BusError, BusUnavailableError
from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.nats_client import Address, NatsClient
from pogo.bus.nats_session import NatsSession
from pogo.registry import nats_wire as wire
from pogo.registry.interface import RegistryError
from pogo.registry.nats_requests import Answer, Questions
from pogo.registry.nats_wire import Headers
from pogo.registry.remote import PING_TIMEOUT

API_TIMEOUT = 4.0
"""Seconds for what JetStream's own leader has to do, to create the stream for example."""

_DIRECT_TIMEOUTS = (0.2, 0.4, 0.8, 1.6)
"""Seconds that the servers which were picked one after the other have for their answer."""

_INBOX = 1
"""The number of the subscription for answers; others are up to whoever subscribes."""

_NO_RESPONDERS = 503

NO_JETSTREAM = (
    "JetStream is off on this nats-server, and the state of the cluster lives in it: start it "
    "with `nats-server --jetstream`, or write `jetstream {}` into its configuration"
)


class NoJetStreamError(RegistryError, BusError):
    """The server cannot hold the registry as it is configured."""


class RegistryClient(NatsClient):
    """A client that passes whole messages on."""

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        del reply
        owner = self._owner
        assert isinstance(owner, JetStreamSession)
        owner.received(sid, bytes(subject), headers, data)


class JetStreamSession(NatsSession):
    """One connection to a nats-server with JetStream."""

    def __init__(self, address: Address, violated: Callable[[str], None]) -> None:
        super().__init__(address, violated, client=RegistryClient, ping_timeout=PING_TIMEOUT)
        self._inbox = b"_INBOX.%b" % secrets.token_hex(11).encode()
        self._questions = Questions(self._inbox, self._expect)
        # Whether the stream was there.
        self._is_open = False

    async def open(self, name: str) -> None:
        """Connect and log in, and be ready for answers."""
        await super().open(name)
        self._write(b"SUB %b.* %d\r\n" % (self._inbox, _INBOX))

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

    async def _written(self, commands: Callable[[bytes], bytes], within: float) -> wire.Ack:
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

    async def _api(
        self, what: str, body: dict[str, object], within: float = API_TIMEOUT
    ) -> wire.Ack:
        """Ask JetStream to do something.

        Raises:
            NoJetStreamError: There is no JetStream.
            BusUnavailableError: It did not say in time.
        """
        try:
            ack = await self._written(
                lambda reply: wire.pub(f"$JS.API.{what}", wire.encode(body), reply), within
            )
        except wire.NoRespondersError:
            raise NoJetStreamError(NO_JETSTREAM) from None
        if ack.error is not None and ack.error.err_code in wire.NOT_ENABLED:
            raise NoJetStreamError(NO_JETSTREAM)
        return ack

    async def _stored(self, key: str) -> wire.Stored:
        """Ask the stream's leader how a key stands.

        Raises:
            BusUnavailableError: It did not say.
        """
        body = wire.encode({"last_by_subj": wire.KEY_PREFIX + key})
        subject = f"$JS.API.STREAM.MSG.GET.{wire.STREAM}"
        (answer,) = await self._asked(
            [lambda reply: wire.pub(subject, body, reply)], CONFIRM_TIMEOUT
        )
        if answer is None:
            raise self._late(CONFIRM_TIMEOUT)
        self._check_answered(answer[0])
        stored = wire.decode_stored(answer[1])
        if stored.error is not None and stored.error.err_code != wire.NO_MESSAGE:
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
        self._transport.send(
            wire.pub(f"$JS.API.DIRECT.GET.{wire.STREAM}", wire.encode(body), reply)
        )
        try:
            await self._answer(question.done, within)
        finally:
            self._questions.forget([reply])
        self._check_answered(question.end)
        return question.end, question.answers

    def _ack(self, answer: Answer) -> wire.Ack:
        headers, data = answer
        self._check_answered(headers)
        return wire.decode_ack(data)

    def _check_answered(self, headers: Headers) -> None:
        if headers.status == _NO_RESPONDERS:
            # The stream is gone, or has no leader: what there is then has to be found out anew.
            error = wire.NoRespondersError(f"on {self.server}, nobody has the stream {wire.STREAM}")
            if self._is_open:
                self.lose(str(error))
            raise error

    def _late(self, within: float) -> BusUnavailableError:
        if self.lost.done():
            return BusUnavailableError(self.lost.result())
        return BusUnavailableError(f"no answer from {self.server} within {within:g} s")
