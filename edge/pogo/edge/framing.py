"""One WebSocket over a socket: frames, pings and the closing handshake, but not what is said.

No task and no timer belongs to a connection. It reads when the event loop calls, is written to by
its channels, and is swept (see `pogo.edge.sweeper`) when something is due.
"""

import abc
import asyncio
from dataclasses import dataclass

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from pogo.edge.metrics import EdgeMetrics
from pogo.edge.sweeper import Sweeper
from pogo.edge.websocket import PING, FrameReaders, close_reason
from pogo.edge.writer import SocketWriter
from pogo.pusher.errors import BinaryMessageError, PongTimeoutError, PusherError


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost, in bytes and seconds. Shared by all connections."""

    max_write_buffer: int
    drop_when_slow: bool
    ping_period: float
    pong_wait: float
    write_wait: float


@dataclass(frozen=True, slots=True)
class FramingServices:
    """What the WebSockets of an edge share."""

    loop: asyncio.AbstractEventLoop
    readers: FrameReaders
    sweeper: Sweeper
    limits: ConnectionLimits
    metrics: EdgeMetrics


class FramedSocket(SocketWriter):
    """A WebSocket after its handshake, until its socket is gone."""

    __slots__ = (
        "_close_deadline",
        "_fragments",
        "_heard_at",
        "_pinged_at",
        "_reader",
        "_services",
        "sweep_at",
    )

    _services: FramingServices

    def __init__(self, transport: asyncio.Transport, services: FramingServices) -> None:
        super().__init__(transport)
        self._services = services
        self.sweep_at = 0
        # The reader of a message that has not completely arrived, and its fragments; that of a
        # socket that is closing, too.
        self._reader: ServerProtocol | None = None
        self._fragments: bytearray | None = None
        self._heard_at = services.loop.time()
        self._pinged_at = 0.0
        self._close_deadline: float | None = None

    @property
    def closing(self) -> bool:
        """Whether the close has begun: nothing more is delivered."""
        return self._close_deadline is not None

    @property
    def max_write_buffer(self) -> int:
        """The most bytes that may wait."""
        return self._services.limits.max_write_buffer

    @abc.abstractmethod
    def message_received(self, message: bytes, now: float) -> None:
        """Act on a text message.

        Raises:
            CloseError: The connection is to be closed.
            PusherError: The client asked for something it cannot have.
        """

    @abc.abstractmethod
    def frame_received(self, now: float) -> None:
        """Count a frame that is not a whole message, but costs as much.

        Raises:
            CloseError: The connection is to be closed.
        """

    @abc.abstractmethod
    def fail(self, error: PusherError) -> None:
        """Tell the client what is wrong, and close if the error says so."""

    @abc.abstractmethod
    def leave(self) -> None:
        """Deliver nothing any more: the close has begun, or the socket is gone. Idempotent."""

    # Writing

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
        reader = self._reader
        if reader is None:
            message = readers.whole_message(data)
            if message is not None:
                try:
                    self.message_received(message, self._heard_at)
                except PusherError as error:
                    self.fail(error)
                return
            reader = self._reader = readers.take()
        reader.receive_data(data)
        for frame in reader.events_received():
            if self.closing:
                break
            assert isinstance(frame, Frame)
            try:
                self._frame_received(frame)
            except PusherError as error:
                self.fail(error)
        # Pongs, and the answer to a close frame or to a violation of RFC 6455.
        self._send_from(reader)
        if not self.closing and readers.give_back(reader):
            self._reader = None

    def eof_received(self) -> None:
        """Let the transport close: the client sends nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket, before anything else can get its descriptor."""
        del exc
        self.end_writing()
        self._services.sweeper.cancel(self)
        reader, self._reader = self._reader, None
        if reader is not None:
            # It and its parser, a generator, refer to each other: else they would have to wait for
            # the collector, and for ever where it was told to leave them alone.
            reader.parser.close()
            # So do a violation's traceback and it.
            reader.parser_exc = None
        self.leave()

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self.message_received(bytes(frame.data), self._heard_at)
            return
        # Control frames and fragments cost as much as messages.
        self.frame_received(self._heard_at)
        if frame.opcode is Opcode.BINARY:
            raise BinaryMessageError("the protocol is made of text messages")
        if frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = bytes(self._fragments), None
                self.message_received(message, self._heard_at)

    # Closing

    def begin_close(self, code: int, reason: str, before: bytes) -> None:
        """Send the last bytes and a close frame, and wait for the client to go."""
        reader = self._reader = self._reader or self._services.readers.take()
        if reader.state is OPEN:
            reader.send_close(code, close_reason(reason))
            data = b"".join([before, *reader.data_to_send()])
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
            self._close_half()

    def _close_half(self) -> None:
        """End the writing side. TLS has no such thing, but says goodbye before it closes."""
        transport = self._transport
        if transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _begin_closing(self) -> None:
        """Leave all channels, and give the client a while to close its side."""
        if self._close_deadline is None:
            services = self._services
            self._close_deadline = services.loop.time() + services.limits.write_wait
            services.sweeper.schedule(self, self._close_deadline)
            # Nothing may follow a close frame.
            self.end_writing()
            self.leave()

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
                self.fail(PongTimeoutError("no answer to a ping"))
                return self._close_deadline
        return min(due, stalled_until) if self.paused else due
