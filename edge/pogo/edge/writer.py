"""The writing side of a socket: straight to the kernel while it takes bytes, queued when not.

`os.write` on a socket whose transport has nothing to send costs less than the transport's own
`write`. Once the kernel takes only a part, the rest and everything after it goes through the
transport, which keeps the order, until it has nothing left.
"""

import abc
import asyncio
import os


class SocketWriter(asyncio.Protocol, abc.ABC):
    """A socket that is written to by many. What its client does not read is bounded."""

    __slots__ = ("_acknowledged", "_enqueued", "_progress_at", "_transport", "fd", "paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # The socket's descriptor while it may be written to, and else -1. It cannot become
        # another socket's before `connection_lost` has returned.
        self.fd: int = transport.get_extra_info("socket").fileno()
        # Whether bytes wait in the transport, behind which everything else has to queue.
        self.paused = False
        # Bytes handed to the transport since it began to wait, how many of them the client had
        # taken when that was last asked, and when it was last seen to take any.
        self._enqueued = 0
        self._acknowledged = 0
        self._progress_at = 0.0

    @property
    @abc.abstractmethod
    def max_write_buffer(self) -> int:
        """The most bytes that may wait."""

    @abc.abstractmethod
    def overflowed(self, events: int) -> None:
        """Do something about a client whose full buffer has no room for so many events."""

    @abc.abstractmethod
    def give_up(self) -> None:
        """Close a client whose full buffer has no room for an answer that it waits for."""

    def take_over(self) -> None:
        """Become the transport's protocol."""
        self._transport.set_protocol(self)
        # Nothing is buffered that the socket would take; `paused` is true from the first byte on.
        self._transport.set_write_buffer_limits(high=0)

    def send(self, data: bytes) -> None:
        """Send what the client waits for, behind everything that was sent before."""
        if self.paused:
            if self._has_room(data):
                self._enqueue(data)
            elif self.fd >= 0:
                self.give_up()
            return
        try:
            written = os.write(self.fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.write_failed()
            return
        if written != len(data):
            self.sent_part(data, written)

    def sent_part(self, data: bytes, written: int) -> None:
        """Leave the rest of what the socket did not take to the transport."""
        rest = data[written:]
        self._enqueued = len(rest)
        self._acknowledged = 0
        self._transport.write(rest)

    def enqueue(self, data: bytes, events: int) -> None:
        """Queue events behind what waits, up to the limit of the write buffer."""
        if self._has_room(data):
            self._enqueue(data)
        elif self.fd >= 0:
            self.overflowed(events)

    def write_failed(self) -> None:
        """Give a socket up that cannot be written to. Its client went away: that is no error."""
        if self.fd >= 0:
            self._transport.abort()

    def progress_at(self, now: float) -> float:
        """Tell when the client was last seen to take a byte, while bytes wait."""
        acknowledged = self._enqueued - self._transport.get_write_buffer_size()
        if acknowledged > self._acknowledged:
            self._acknowledged = acknowledged
            self._progress_at = now
        return self._progress_at

    def pause_writing(self) -> None:
        """Note that bytes wait in the transport."""
        self.paused = True

    def resume_writing(self) -> None:
        """Note that the socket has taken everything."""
        self.paused = False

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    def _has_room(self, data: bytes) -> bool:
        waiting = self._transport.get_write_buffer_size()
        return self.fd >= 0 and waiting + len(data) <= self.max_write_buffer

    def _enqueue(self, data: bytes) -> None:
        self._enqueued += len(data)
        self._transport.write(data)
