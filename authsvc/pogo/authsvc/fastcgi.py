"""The FastCGI protocol as a web server speaks it, without any I/O.

Source: FastCGI specification 1.0. One request at a time on a connection, with the id 1, which is
all that php-fpm knows; the connection is kept for the next.
"""

import re
import struct
from collections.abc import Iterable

from pogo.authsvc.errors import InvalidAnswerError, UnreachableError
from pogo.authsvc.upstream import WorkerAnswer, said_of

_VERSION = 1
_REQUEST_ID = 1
_BEGIN_REQUEST = 1
_END_REQUEST = 3
_PARAMS = 4
_STDIN = 5
_STDOUT = 6
_STDERR = 7
_RESPONDER = 1
_KEEP_CONN = 1
_REQUEST_COMPLETE = 0

_HEADER = struct.Struct("!BBHHBx")
_BEGIN = _HEADER.pack(_VERSION, _BEGIN_REQUEST, _REQUEST_ID, 8, 0) + struct.pack(
    "!HB5x", _RESPONDER, _KEEP_CONN
)
_END = struct.Struct("!IB3x")
_MAX_CONTENT = 0xFFFF
_MAX_SHORT = 0x7F
_LONG = 0x8000_0000
_STATUS = re.compile(r"([1-5][0-9][0-9])( .*)?")

MAX_HEAD = 16 * 1024
"""Bytes of the worker's headers; those of Laravel, with its cookies, have one or two thousand."""

MAX_COMPLAINT = 2000
"""Bytes of the worker's standard error that are kept."""


def encode_params(params: Iterable[tuple[str, str]]) -> bytes:
    """Write name-value pairs."""
    parts = []
    for name, value in params:
        raw_name, raw_value = name.encode(), value.encode(errors="surrogateescape")
        parts += [_length(raw_name), _length(raw_value), raw_name, raw_value]
    return b"".join(parts)


def encode_request(params: bytes, body: bytes) -> bytes:
    """Write a whole request, of parameters as `encode_params` writes them."""
    return b"".join(
        [
            _BEGIN,
            *_stream(_PARAMS, params),
            _HEADER.pack(_VERSION, _PARAMS, _REQUEST_ID, 0, 0),
            *_stream(_STDIN, body),
            _HEADER.pack(_VERSION, _STDIN, _REQUEST_ID, 0, 0),
        ]
    )


class ResponseReader:
    """Reads the answer to one request from whatever pieces it arrives in."""

    def __init__(self, max_body: int) -> None:
        self._max_output = MAX_HEAD + max_body
        self._max_body = max_body
        self._buffer = bytearray()
        self._output = bytearray()
        self._complaint = bytearray()

    def receive(self, data: bytes) -> WorkerAnswer | None:
        """Take what has arrived; returns the answer once it is complete.

        Raises:
            InvalidAnswerError: It is not FastCGI or not CGI, or more than it may be.
            UnreachableError: The worker does not take the request.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEADER.size:
            version, kind, request_id, length, padding = _HEADER.unpack_from(buffer, start)
            if version != _VERSION or request_id != _REQUEST_ID:
                raise InvalidAnswerError("it does not speak FastCGI")
            end = start + _HEADER.size + length
            if len(buffer) < end + padding:
                break
            content = bytes(buffer[start + _HEADER.size : end])
            start = end + padding
            if kind == _END_REQUEST:
                if start != len(buffer):
                    raise InvalidAnswerError("it says more after the end of its answer")
                return self._end(content)
            self._take(kind, content)
        del buffer[:start]
        return None

    def _take(self, kind: int, content: bytes) -> None:
        if kind == _STDOUT:
            self._output += content
            if len(self._output) > self._max_output:
                raise InvalidAnswerError(f"its answer has more than {self._max_body} bytes")
        elif kind == _STDERR:
            self._complaint += content[: MAX_COMPLAINT - len(self._complaint)]
        else:
            raise InvalidAnswerError(f"it sent a FastCGI record of the type {kind}")

    def _end(self, content: bytes) -> WorkerAnswer:
        if len(content) != _END.size:
            raise InvalidAnswerError("its FastCGI end record is too short or too long")
        _, protocol_status = _END.unpack(content)
        if protocol_status != _REQUEST_COMPLETE:
            raise UnreachableError(f"it took no request: FastCGI status {protocol_status}")
        return parse_cgi(
            bytes(self._output), self._max_body, self._complaint.decode("utf-8", "replace")
        )


def parse_cgi(output: bytes, max_body: int, complaint: str = "") -> WorkerAnswer:
    """Read what a CGI script writes: headers, of which `Status` counts 200 if missing, and a body.

    Raises:
        InvalidAnswerError: It is no such thing, or the body is too long.
    """
    head, separator, body = output.partition(b"\r\n\r\n")
    if not separator:
        raise InvalidAnswerError(f"it sent no headers{said_of(complaint)}")
    if len(body) > max_body:
        raise InvalidAnswerError(f"its answer has more than {max_body} bytes")
    status, cookies, retry_after = 200, [], ""
    for line in head.split(b"\r\n"):
        name, _, raw = line.partition(b":")
        value = raw.strip().decode(errors="surrogateescape")
        match name.strip().lower():
            case b"status":
                code = _STATUS.fullmatch(value)
                if code is None:
                    raise InvalidAnswerError("its status is no number of three digits")
                status = int(code[1])
            case b"set-cookie":
                cookies.append(value)
            case b"retry-after":
                retry_after = value
    return WorkerAnswer(status, body, tuple(cookies), retry_after, complaint)


def _length(raw: bytes) -> bytes:
    if len(raw) <= _MAX_SHORT:
        return bytes((len(raw),))
    return struct.pack("!I", len(raw) | _LONG)


def _stream(kind: int, content: bytes) -> Iterable[bytes]:
    for start in range(0, len(content), _MAX_CONTENT):
        piece = content[start : start + _MAX_CONTENT]
        yield _HEADER.pack(_VERSION, kind, _REQUEST_ID, len(piece), 0)
        yield piece
