"""A small FastCGI client: blocking, one request at a time, and able to break the rules."""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 2, 3, 4, 5, 6
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER = 1
KEEP_CONN = 1

# Seconds: it bounds a test that hangs.
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `request` is 0 for those that are about the connection."""

    type: int
    request: int
    content: bytes = b""

    def encode(self, padding: int = 0) -> bytes:
        """Encode it, with bytes that mean nothing at its end."""
        header = struct.pack("!BBHHBx", 1, self.type, self.request, len(self.content), padding)
        return header + self.content + bytes(padding)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script has answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class FastCgi:
    """A connection to a Unix socket, or to a port of the loopback."""

    def __init__(self, address: Path | int) -> None:
        if isinstance(address, Path):
            self._socket = _connect(address)
        else:
            self._socket = socket.create_connection(("127.0.0.1", address), _TIMEOUT)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._reader.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def record(self) -> Record | None:
        """Read a record; None if the other side has closed."""
        try:
            header = self._reader.read(8)
        except ConnectionResetError:
            return None
        if len(header) < 8:
            return None
        version, kind, request, length, padding = struct.unpack("!BBHHBx", header)
        assert version == 1
        content = self._reader.read(length + padding)[:length]
        return Record(kind, request, content)

    def answer(self, request: int = 1) -> Answer | None:
        """Read a whole answer; None if the other side closed before its end."""
        output = b""
        while record := self.record():
            assert request == record.request
            if record.type == END_REQUEST:
                return _parse(output)
            output += record.content
        return None

    def ask(self, params: dict[str, str], body: bytes = b"", *, keep: bool = True) -> Answer:
        """Send a request, with its length unless that is given, and read its answer."""
        whole = {"CONTENT_LENGTH": str(len(body)), **params}
        self.send(encode_request(whole, body, keep=keep))
        answer = self.answer()
        assert answer is not None
        return answer


def encode_request(
    params: dict[str, str], body: bytes = b"", *, keep: bool = True, request: int = 1
) -> bytes:
    """Encode a whole request."""
    begin = struct.pack("!HB5x", RESPONDER, KEEP_CONN if keep else 0)
    records = [
        Record(BEGIN_REQUEST, request, begin),
        *_stream(PARAMS, request, encode_pairs(params)),
        *_stream(STDIN, request, body),
    ]
    return b"".join(record.encode() for record in records)


def encode_pairs(pairs: dict[str, str]) -> bytes:
    """Encode names and values, each with its length before it."""
    encoded = b""
    for name, value in pairs.items():
        texts = name.encode(), value.encode()
        for text in texts:
            size = len(text)
            encoded += bytes([size]) if size < 0x80 else struct.pack("!L", size | 0x80000000)
        encoded += b"".join(texts)
    return encoded


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_TIMEOUT)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _stream(kind: int, request: int, data: bytes) -> list[Record]:
    chunks = [data[start : start + 0xFFFF] for start in range(0, len(data), 0xFFFF)]
    return [Record(kind, request, chunk) for chunk in [*chunks, b""]]


def _parse(output: bytes) -> Answer:
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    # php-fpm leaves it away where it is 200.
    status = int(headers.pop("Status", "200").split()[0])
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)
