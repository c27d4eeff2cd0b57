"""The writing side of a socket: straight to the kernel while it takes bytes, queued when not.

`os.write` on a socket whose transport has nothing to send costs less than the transport's own
`write`. Once the kernel takes only a part, the rest and everything after it goes through the
transport, which keeps the order, until it has nothing left.

With TLS everything goes through the transport, since only that can encrypt, and since it may close
the descriptor before `connection_lost`. The bounds are the same; what the kernel does not take
may be up to 64 KB more, in the transport below the one with TLS.
"""

import abc
import asyncio
import os


class FdChanges:
    """Tells whether any socket's `fd` has changed since one last looked."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest = object()
        """Another object after every change."""

    def note(self) -> None:
        """Note a change."""
        self.latest = object()


FD_CHANGES = FdChanges()
"""The changes of all connections: descriptors belong to the process, whichever edge uses them."""


class SocketWriter(asyncio.Protocol, abc.ABC):
    """A socket that is written to by many. What its client does not read is bounded."""

    __slots__ = (
        "_acknowledged",
        "_descriptor",
        "_enqueued",
        "_open",
        "_progress_at",
        "_transport",
        "fd",
        "paused",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # Whether anything may be sent: until `end_writing`.
        self._open = True
        # What may be written to directly as long as nothing waits; -1 where nothing ever may.
        self._descriptor: int = (
            -1 if _encrypts(transport) else transport.get_extra_info("socket").fileno()
        )
        # The socket's descriptor while it may be written to directly, and else -1. The event
        # loop closes a descriptor after `connection_lost` has returned, and not before: until
        # then it cannot become another socket's. Every change is noted in `FD_CHANGES`.
        self.fd = self._descriptor
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
        transport = self._transport
        transport.set_protocol(self)
        # `paused` is true from the first byte on that the socket does not take. A transport with
        # TLS counts from its limit on, any other from beyond it.
        if _encrypts(transport):
            transport.set_write_buffer_limits(high=1, low=0)
        else:
            transport.set_write_buffer_limits(high=0)

    def end_writing(self) -> None:
        """Send nothing any more, and leave the descriptor alone. Idempotent."""
        self._open = False
        self._descriptor = -1
        self._set_fd(-1)

    def send(self, data: bytes) -> None:
        """Send what the client waits for, behind everything that was sent before."""
        if self.fd >= 0:
            self._write(data)
        elif self._open:
            if self._has_room(data):
                self._enqueue(data)
            else:
                self.give_up()

    def deliver(self, data: bytes, events: int) -> None:
        """Send events, behind everything that was sent before, if there is room for them."""
        if self.fd >= 0:
            self._write(data)
        else:
            self.enqueue(data, events)

    def sent_part(self, data: bytes, written: int) -> None:
        """Leave the rest of what the socket did not take to the transport."""
        rest = data[written:]
        self._enqueued = len(rest)
        self._acknowledged = 0
        self._transport.write(rest)

    def enqueue(self, data: bytes, events: int) -> None:
        """Queue events behind what waits, up to the limit of the write buffer."""
        if self._open:
            if self._has_room(data):
                self._enqueue(data)
            else:
                self.overflowed(events)

    def write_failed(self) -> None:
        """Give a socket up that cannot be written to. Its client went away: that is no error."""
        if self._open:
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
        self._set_fd(-1)

    def resume_writing(self) -> None:
        """Note that the socket has taken everything."""
        self.paused = False
        self._set_fd(self._descriptor)

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    def _set_fd(self, fd: int) -> None:
        if fd != self.fd:
            self.fd = fd
            FD_CHANGES.note()

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self.fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.write_failed()
            return
        if written != len(data):
            self.sent_part(data, written)

    def _has_room(self, data: bytes) -> bool:
        """Whether so much may wait; what comes first always may, as after a write in part."""
        waiting = self._transport.get_write_buffer_size()
        return not waiting or waiting + len(data) <= self.max_write_buffer

    def _enqueue(self, data: bytes) -> None:
        if not self.paused:
            self._enqueued = self._acknowledged = 0
        self._enqueued += len(data)
        self._transport.write(data)


def _encrypts(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is not None
