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

    __slots__ = ("_acknowledged", "_enqueued", "_transport", "fd", "paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # The socket's descriptor while it may be written to, and else -1. It cannot become
        # another socket's before `connection_lost` has returned.
        self.fd: int = transport.get_extra_info("socket").fileno()
        # Whether bytes wait in the transport, behind which everything else has to queue.
        self.paused = False
        # Bytes handed to the transport since it began to wait, and how many of them the client
        # had taken when that was last asked.
        self._enqueued = 0
        self._acknowledged = 0

    @property
    @abc.abstractmethod
    def max_write_buffer(self) -> int:
        """The most bytes that may wait."""

    @abc.abstractmethod
    def overflowed(self, messages: int) -> None:
        """Do something about a client that did not get so many messages: its buffer is full."""

    def take_over(self) -> None:
        """Become the transport's protocol."""
        self._transport.set_protocol(self)
        # Nothing is buffered that the socket would take; `paused` is true from the first byte on.
        self._transport.set_write_buffer_limits(high=0)

    def send(self, data: bytes) -> None:
        """Send frames, behind everything that was sent before."""
        if self.paused:
            self.enqueue(data)
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

    def enqueue(self, data: bytes, messages: int = 1) -> None:
        """Queue frames behind those that wait, up to the limit of the write buffer."""
        if self.fd < 0:
            return
        if self._transport.get_write_buffer_size() + len(data) > self.max_write_buffer:
            self.overflowed(messages)
            return
        self._enqueued += len(data)
        self._transport.write(data)

    def write_failed(self) -> None:
        """Give a socket up that cannot be written to. Its client went away: that is no error."""
        if self.fd >= 0:
            self._transport.abort()

    def progressed(self) -> bool:
        """Whether the client has taken any byte since this was last asked."""
        acknowledged = self._enqueued - self._transport.get_write_buffer_size()
        progressed = acknowledged > self._acknowledged
        self._acknowledged = acknowledged
        return progressed

    def pause_writing(self) -> None:
        """Note that bytes wait in the transport."""
        self.paused = True

    def resume_writing(self) -> None:
        """Note that the socket has taken everything."""
        self.paused = False

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()
