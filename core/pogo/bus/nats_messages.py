"""What is said to JetStream, and what it answers."""

import time
from dataclasses import dataclass

import msgspec

from pogo.bus.interface import BusUnavailableError

WRONG_LAST_SEQUENCE = (10071, 10164)
"""JetStream's error codes for a compare-and-set that found another revision."""
NO_MESSAGE = 10037
NO_SEQUENCE = 10043
STREAM_NOT_FOUND = 10059
NOT_ENABLED = (10039, 10076)
"""JetStream's error codes for being switched off, for an account or at all."""

_HEAD = b"NATS/1.0\r\n%b\r\n"


class NoRespondersError(BusUnavailableError):
    """Nobody answers for what was asked."""


class ApiError(msgspec.Struct):
    """What JetStream does not do, and why."""

    description: str = ""
    err_code: int = 0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is to be."""

    replicas: int = 0
    """Servers that hold it; 0 for three where the server belongs to a cluster, and else one."""
    max_bytes: int = 256 * 1024 * 1024
    """Memory that it may take on each of them. More is refused."""


class StreamConfig(msgspec.Struct):
    """What may differ between the stream that is there and the one that is wanted."""

    num_replicas: int = 0
    max_bytes: int = 0
    max_msgs_per_subject: int = 0
    republish: dict[str, object] | None = None

    def matches(self, wanted: dict[str, object]) -> bool:
        """Whether the stream is as it is wanted."""
        return all(getattr(self, name) == wanted.get(name) for name in self.__struct_fields__)


class Ack(msgspec.Struct):
    """The answer to a write, and to a request for the stream."""

    seq: int = 0
    error: ApiError | None = None
    config: StreamConfig | None = None


class _Message(msgspec.Struct):
    seq: int
    data: str = ""
    hdrs: str = ""


class Stored(msgspec.Struct):
    """The answer to a question for one message."""

    message: _Message | None = None
    error: ApiError | None = None


decode_ack = msgspec.json.Decoder(Ack).decode
decode_stored = msgspec.json.Decoder(Stored).decode
encode = msgspec.json.encode


class Headers:
    """The headers of one message, looked into only as far as somebody asks.

    A change of the registry carries six of them, of which three matter.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Take `NATS/1.0`, perhaps a status behind it (`404 Message Not Found`), and the fields."""
        self._raw = raw

    @property
    def status(self) -> int:
        """The status of an answer that has one, else 0."""
        return int(self._raw[9:12]) if self._raw[8:9] == b" " else 0

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field, if there is one."""
        raw = self._raw
        start = raw.find(b"\r\n%b: " % name)
        if start < 0:
            return None
        start += len(name) + 4
        return raw[start : raw.index(b"\r\n", start)]

    def number(self, name: bytes) -> int:
        """Return a number, 0 where there is none."""
        return int(self.get(name) or 0)


def first_sequence() -> int:
    """Return where a stream that is made now begins.

    That is the time in microseconds: so a stream that begins anew, after everything was lost, uses
    no number again.
    """
    return time.time_ns() // 1000


def head(fields: bytes) -> bytes:
    """Write the head of a message that has these header fields."""
    return _HEAD % fields


def pub(subject: str, payload: bytes, reply: bytes, fields: bytes = b"") -> bytes:
    """Write a message, with headers if there are any; `reply` may be empty."""
    target = b"%b %b" % (subject.encode(), reply) if reply else subject.encode()
    if not fields:
        return b"PUB %b %d\r\n%b\r\n" % (target, len(payload), payload)
    above = head(fields)
    sizes = len(above), len(above) + len(payload)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (target, *sizes, above, payload)
