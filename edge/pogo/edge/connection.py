"""One WebSocket connection: a socket, and a conversation in the Pusher protocol over it.

No task and no timer belongs to a connection. It reads when the event loop calls, is written to by
its channels, and is swept (see `pogo.edge.sweeper`) when something is due.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from pogo.edge.apps import EdgeApp
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.sweeper import Sweeper
from pogo.edge.websocket import PING, FrameReaders, close_reason, frame_text
from pogo.edge.writer import SocketWriter
from pogo.pusher.errors import (
    BinaryMessageError,
    CloseError,
    OverCapacityError,
    PongTimeoutError,
    PusherError,
)
from pogo.pusher.events import (
    AuthenticationNeeded,
    AuthorizationNeeded,
    ClientEventReceived,
    Event,
    Reply,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.pusher.protocol import PusherProtocol, error_messages
from pogo.pusher.states import ConnectionState


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost, in bytes and seconds. Shared by all connections."""

    max_write_buffer: int
    drop_when_slow: bool
    ping_period: float
    pong_wait: float
    write_wait: float


class ConnectionOwner(Protocol):
    """What a connection asks of the hub."""

    def subscribe(self, connection: "Connection", event: SubscriptionRequested) -> None:
        """See to a subscription that the protocol admitted."""

    def unsubscribe(self, connection: "Connection", event: SubscriptionCancelled) -> None:
        """End one."""

    def ask(
        self, connection: "Connection", event: AuthorizationNeeded | AuthenticationNeeded
    ) -> None:
        """Ask the application on behalf of a client, which is told in a later turn."""

    def signed_in(self, connection: "Connection", event: SignedIn) -> None:
        """See to a user whom the protocol has let in; the client knows."""

    def client_event(self, connection: "Connection", event: ClientEventReceived) -> None:
        """Pass a client's message on.

        Raises:
            PusherError: It cannot be passed on.
        """

    def leave(self, connection: "Connection") -> None:
        """Forget a connection that is closing: nothing is delivered to it any more."""

    def lost(self, connection: "Connection") -> None:
        """Forget a connection whose socket is gone."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all connections of an edge share."""

    loop: asyncio.AbstractEventLoop
    owner: ConnectionOwner
    readers: FrameReaders
    sweeper: Sweeper
    limits: ConnectionLimits
    metrics: EdgeMetrics


class Connection(SocketWriter):
    """A connection after its handshake, until its socket is gone."""

    __slots__ = (
        "_close_deadline",
        "_fragments",
        "_heard_at",
        "_pinged_at",
        "_reader",
        "_services",
        "app",
        "protocol",
        "sweep_at",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        services: Services,
        app: EdgeApp,
        protocol: PusherProtocol,
    ) -> None:
        """Take a socket over from the handshake, which then says `establish` or `refuse`."""
        super().__init__(transport)
        self._services = services
        self.app = app
        self.protocol = protocol
        self.sweep_at = 0
        # The reader of a message that has not completely arrived, and its fragments.
        self._reader: ServerProtocol | None = None
        self._fragments: bytearray | None = None
        self._heard_at = services.loop.time()
        self._pinged_at = 0.0
        self._close_deadline: float | None = None

    @property
    def socket_id(self) -> str:
        """The id that the protocol knows the connection by."""
        return self.protocol.socket_id

    @property
    def closing(self) -> bool:
        """Whether the close has begun: nothing more is delivered."""
        return self._close_deadline is not None

    def establish(self, response: bytes) -> None:
        """Accept the handshake with this HTTP response, and open the conversation."""
        self.take_over()
        self._services.metrics.messages_out += 1
        self.send(response + frame_text(self.protocol.establish()))
        limits = self._services.limits
        self._services.sweeper.schedule(self, self._heard_at + limits.ping_period)

    def refuse(self, response: bytes, error: CloseError) -> None:
        """Accept the handshake, since a browser learns nothing from an HTTP error, and close."""
        self.take_over()
        self._close(error, response)

    # Writing

    def send_message(self, message: bytes) -> None:
        """Send one text message to this client alone."""
        self._services.metrics.messages_out += 1
        self.send(frame_text(message))

    @property
    def max_write_buffer(self) -> int:
        """The most bytes that may wait."""
        return self._services.limits.max_write_buffer

    def overflowed(self, events: int) -> None:
        """Close a client that reads too slowly, or let it miss something: as the settings say."""
        metrics = self._services.metrics
        if self._services.limits.drop_when_slow:
            metrics.dropped_by_drop += events
        else:
            metrics.dropped_by_close += events
            self.give_up()

    def give_up(self) -> None:
        """Close a client that reads too slowly."""
        self.close(OverCapacityError("the client reads too slowly"))

    def pause_writing(self) -> None:
        """Note that bytes wait, and look after a while whether any were taken."""
        super().pause_writing()
        services = self._services
        self._progress_at = services.loop.time()
        due = self._progress_at + services.limits.write_wait
        if not 0 < self.sweep_at <= due:
            services.sweeper.schedule(self, due)

    # Reading

    def data_received(self, data: bytes) -> None:
        """Read frames, and act on complete messages."""
        self._heard_at = self._services.loop.time()
        readers = self._services.readers
        reader = self._reader = self._reader or readers.take()
        reader.receive_data(data)
        for frame in reader.events_received():
            if self.closing:
                break
            assert isinstance(frame, Frame)
            try:
                self._frame_received(frame)
            except CloseError as error:
                self.close(error)
            except PusherError as error:
                self.report(error)
        # Pongs, and the answer to a close frame or to a violation of RFC 6455.
        self._send_from(reader)
        if not self.closing and readers.give_back(reader):
            self._reader = None

    def eof_received(self) -> None:
        """Let the transport close: the client sends nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket, before anything else can get its descriptor."""
        del exc
        self.fd = -1
        self._services.sweeper.cancel(self)
        try:
            self._forget()
        finally:
            self._services.owner.lost(self)

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._message_received(bytes(frame.data))
            return
        # Control frames and fragments cost as much as messages.
        self.protocol.charge(self._heard_at)
        if frame.opcode is Opcode.BINARY:
            raise BinaryMessageError("the protocol is made of text messages")
        if frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = bytes(self._fragments), None
                self._message_received(message)

    def _message_received(self, message: bytes) -> None:
        self._services.metrics.messages_in += 1
        self._act(self.protocol.receive(message, self._heard_at))

    def resume(self, step: Callable[[], Event | None]) -> None:
        """Go on with what had to wait for the application, unless the client is leaving."""
        if self.closing or self.protocol.state is ConnectionState.CLOSED:
            return
        try:
            self._act(step())
        except CloseError as error:
            self.close(error)
        except PusherError as error:
            self.report(error)

    def _act(self, event: Event | None) -> None:
        """Do what a message amounts to."""
        services = self._services
        match event:
            case None:
                pass
            case Reply():
                self.send_message(event.message)
            case SubscriptionRequested():
                services.owner.subscribe(self, event)
            case SubscriptionCancelled():
                services.owner.unsubscribe(self, event)
            case AuthorizationNeeded() | AuthenticationNeeded():
                services.owner.ask(self, event)
            case SignedIn():
                self.send_message(event.message)
                if event.excess is not None and not self.closing:
                    self.report(event.excess)
                # The answer may have been the last straw.
                if not self.closing:
                    services.owner.signed_in(self, event)
            case ClientEventReceived():
                services.owner.client_event(self, event)
            case _:
                assert_never(event)

    def report(self, error: PusherError) -> None:
        """Tell the client what it cannot have."""
        self._services.metrics.errors.labels(str(error.code)).inc()
        for message in error_messages(error):
            self.send_message(message)

    # Closing

    def close(self, error: CloseError) -> None:
        """Tell the client why, close with the code, and wait for it to go. Idempotent."""
        if not self.closing and self.protocol.state is not ConnectionState.CLOSED:
            self._close(error, b"")

    def _close(self, error: CloseError, before: bytes) -> None:
        services = self._services
        services.metrics.closed.labels(str(error.code)).inc()
        reader = self._reader = self._reader or services.readers.take()
        if reader.state is OPEN:
            frames = [frame_text(message) for message in error_messages(error)]
            reader.send_close(error.code, close_reason(error.message))
            data = b"".join([before, *frames, *reader.data_to_send()])
            if self.paused:
                # Beyond the limit of the write buffer, but only this once.
                self._transport.write(data)
            else:
                self.send(data)
        self._begin_closing()

    def _send_from(self, reader: ServerProtocol) -> None:
        """Send what the frame layer has to say by itself."""
        chunks = reader.data_to_send()
        if not chunks:
            return
        data = b"".join(chunks)
        if data:
            if self.closing:
                self._transport.write(data)
            else:
                self.send(data)
        if not chunks[-1]:
            # The frame layer's sign for the end: it sends and reads nothing more. The socket
            # stays half open, since closing it with unread bytes would destroy what was sent.
            if reader.parser_exc is not None and reader.close_sent is not None:
                self._services.metrics.closed.labels(str(reader.close_sent.code)).inc()
            self._begin_closing()
            if not self._transport.is_closing():
                self._transport.write_eof()

    def _begin_closing(self) -> None:
        """Leave all channels, and give the client a while to close its side."""
        if self._close_deadline is None:
            services = self._services
            self._close_deadline = services.loop.time() + services.limits.write_wait
            services.sweeper.schedule(self, self._close_deadline)
            # Nothing may follow a close frame.
            self.fd = -1
            self._forget()

    def _forget(self) -> None:
        if self.protocol.state is not ConnectionState.CLOSED:
            self._services.owner.leave(self)
            self.protocol.close()

    # Time

    def sweep(self, now: float) -> float | None:
        """Do what is due, and tell when something will be."""
        if self._close_deadline is not None:
            if now < self._close_deadline:
                return self._close_deadline
            self._transport.abort()
            return None
        limits = self._services.limits
        stalled_until = self.progress_at(now) + limits.write_wait
        if self.paused and stalled_until <= now:
            self._services.metrics.closed.labels("stalled").inc()
            self._transport.abort()
            return None
        due = self._heard_at + limits.ping_period
        if due <= now:
            # A client always gets the whole time to answer, however late a sweep may be. The
            # loop's clock may stand still between a ping and its answer.
            if self._pinged_at <= self._heard_at:
                self._pinged_at = now
                self.send(PING)
            due = self._pinged_at + limits.pong_wait - limits.ping_period
            if due <= now:
                self.close(PongTimeoutError("no answer to a ping"))
                return self._close_deadline
        return min(due, stalled_until) if self.paused else due
