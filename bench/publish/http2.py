"""As much of HTTP/2 as it takes to call a gRPC server cheaply.

gRPC's own clients cost more for a call than the servers that are measured. Here requests are bytes
that were written before, and of what comes back only the frames are looked at: a reply must be the
one that was expected, to the byte.

Source: RFC 9113 (frames), RFC 7541 (HPACK), gRPC over HTTP2 (PROTOCOL-HTTP2.md).
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import cast

from bench.cluster import BenchError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_HEAD = 9
"""Bytes before the payload of a frame."""

_MAX_FRAME = 16_384
_FIRST_WINDOW = 65_535
"""Bytes that a server takes before it has said more."""

_MAX_WINDOW = 2**31 - 1

_STATIC = {
    ":authority": 1,
    ":path": 4,
    "authorization": 23,
    "content-type": 31,
    "user-agent": 58,
    "te": 0,
    "grpc-accept-encoding": 0,
    "grpc-timeout": 0,
}
"""Where HPACK's static table has a header's name; 0 for nowhere."""

_POST_HTTP = b"\x83\x86"
"""`:method: POST` and `:scheme: http` are in that table as a whole."""

_SEVEN_BITS, _MORE = 0x7F, 0x80
_DYNAMIC = 62
"""Where the dynamic table begins, with the header that was sent last."""


class GrpcCalls(asyncio.Protocol):
    """Makes the same call again and again, on one connection.

    Args:
        path: The method's, `/package.Service/Method`.
        metadata: What is sent with each call.
        reply: The only reply that is right, as a gRPC message.
    """

    def __init__(self, path: str, metadata: Iterable[tuple[str, str]], reply: bytes) -> None:
        self._headers = [
            (":authority", "127.0.0.1"),
            (":path", path),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "pogo-bench"),
            ("grpc-accept-encoding", "identity"),
            ("grpc-timeout", "5S"),
            *metadata,
        ]
        self._reply = reply
        # Literal the first time; from then on the server knows them by number.
        self._block = _POST_HTTP + b"".join([_literal(*header) for header in self._headers])
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._next_stream = 1
        # Bytes that the server takes yet.
        self._window = _FIRST_WINDOW
        self._waiting: deque[bytes] = deque()
        self._messages: Sequence[bytes] = ()
        # Calls of this run that are to be made yet, and to be answered.
        self._to_begin = 0
        self._to_end = 0
        self._replied: set[int] = set()
        self._done: asyncio.Future[None] | None = None

    async def run(self, messages: Sequence[bytes], calls: int, window: int) -> None:
        """Make so many calls, `window` of them at a time, and wait until all are answered.

        Raises:
            BenchError: One was answered with something else, or the connection was lost.
        """
        self._messages = messages
        self._to_begin = self._to_end = calls
        self._done = asyncio.get_running_loop().create_future()
        self._write(b"".join([self._begin() for _ in range(min(window, calls))]))
        await self._done

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and let the server send as much as it likes."""
        # uvloop's are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        window = (_MAX_WINDOW - _FIRST_WINDOW).to_bytes(4)
        self._write(_PREFACE + _frame(_SETTINGS, 0, 0) + _frame(_WINDOW_UPDATE, 0, 0, window))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way."""
        self._fail(f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        """Take frames, and make as many calls as were answered."""
        buffer = self._buffer + data if self._buffer else data
        start, end, answered = 0, len(buffer), 0
        while end - start >= _HEAD:
            size = int.from_bytes(buffer[start : start + 3])
            until = start + _HEAD + size
            if until > end:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream = int.from_bytes(buffer[start + 5 : start + _HEAD])
            payload = buffer[start + _HEAD : until]
            if kind == _HEADERS:
                answered += self._take_headers(stream, flags)
            elif kind == _DATA:
                self._take_reply(stream, payload)
            else:
                self._take_control(kind, flags, stream, payload)
            start = until
        self._buffer = buffer[start:]
        if answered:
            self._ended(answered)

    def _take_headers(self, stream: int, flags: int) -> bool:
        """Take headers, and tell whether they are the end of a call."""
        if not flags & _END_STREAM:
            return False
        if stream not in self._replied:
            self._fail("a call ended without a reply")
        self._replied.discard(stream)
        return True

    def _take_reply(self, stream: int, payload: bytes) -> None:
        if payload == self._reply:
            self._replied.add(stream)
        else:
            self._fail(f"a call was answered with {payload[:200]!r}")

    def _take_control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload)
            self._send_waiting()
        elif kind in (_RST_STREAM, _GOAWAY):
            self._fail("the server gave a call up")

    def _ended(self, calls: int) -> None:
        self._to_end -= calls
        if not self._to_end:
            self._finish()
            return
        begin = min(calls, self._to_begin)
        if begin:
            self._write(b"".join([self._begin() for _ in range(begin)]))

    def _begin(self) -> bytes:
        """Write the next call, unless the server takes no more: then it waits."""
        self._to_begin -= 1
        message = self._messages[self._to_begin % len(self._messages)]
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        call = _frame(_HEADERS, _END_HEADERS, stream, self._block)
        self._block = _POST_HTTP + _indexed(len(self._headers))
        for start in range(0, len(message), _MAX_FRAME):
            is_last = start + _MAX_FRAME >= len(message)
            piece = message[start : start + _MAX_FRAME]
            call += _frame(_DATA, _END_STREAM if is_last else 0, stream, piece)
        if self._waiting or len(call) > self._window:
            self._waiting.append(call)
            return b""
        self._window -= len(call)
        return call

    def _send_waiting(self) -> None:
        while self._waiting and len(self._waiting[0]) <= self._window:
            call = self._waiting.popleft()
            self._window -= len(call)
            self._write(call)

    def _write(self, frames: bytes) -> None:
        if frames and self._transport is not None:
            self._transport.write(frames)

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, reason: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(BenchError(reason))


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(name: str, value: str) -> bytes:
    """Write a header that the server is to remember."""
    static = _STATIC[name]
    head = _integer(static, 6, 0x40)
    return head + (b"" if static else _text(name)) + _text(value)


def _indexed(count: int) -> bytes:
    """Name all headers that the server remembers, in the order in which they were sent."""
    return b"".join([_integer(_DYNAMIC + count - 1 - n, 7, 0x80) for n in range(count)])


def _text(text: str) -> bytes:
    return _integer(len(text), 7, 0) + text.encode()


def _integer(number: int, bits: int, flags: int) -> bytes:
    most = (1 << bits) - 1
    if number < most:
        return bytes((flags | number,))
    rest, digits = number - most, bytearray((flags | most,))
    while rest > _SEVEN_BITS:
        digits.append(rest & _SEVEN_BITS | _MORE)
        rest >>= 7
    return bytes(digits) + bytes((rest,))
