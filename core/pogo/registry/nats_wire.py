"""How the registry is laid out in JetStream, and what is said about it.

The stream is a key-value bucket called `pogo`, so that `nats kv` shows it. NATS republishes each
change on a subject of its topic: watching costs no consumer on the server.
"""

import base64

import msgspec

from pogo.bus import BusUnavailableError
from pogo.registry.interface import Change, Entry
from pogo.registry.keys import TOPIC_TOKENS

STREAM = "KV_pogo"
KEY_PREFIX = "$KV.pogo."
FEED_PREFIX = "pogo.v1.reg."
LEADER_ELECTED = f"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.{STREAM}"

EPOCH_TOPIC = "e.-.-"
EPOCH_KEY = f"{EPOCH_TOPIC}.-.epoch"

_FILL = "="
"""A token that no encoded name is."""

_MARKER_OWNER = "=sync"

TOMBSTONE_TTL = 60
"""Seconds for which a removed key leaves a note. Long enough for every snapshot that was begun
before; a plain tombstone would stay for ever."""

_TOMBSTONE = b"KV-Operation: DEL\r\nNats-TTL: %ds\r\n" % TOMBSTONE_TTL
_MARKER = b"Nats-TTL: 5s\r\n"

_HEAD = b"NATS/1.0\r\n%b\r\n"
_TOMBSTONE_SIZE = len(_HEAD % _TOMBSTONE)
_PADDING = b"Pogo-Padding: %b\r\n"

WRONG_LAST_SEQUENCE = (10071, 10164)
"""JetStream's error codes for a compare-and-set that found another revision."""
NO_MESSAGE = 10037
STREAM_NOT_FOUND = 10059
NOT_ENABLED = (10039, 10076)
"""JetStream's error codes for being switched off, for an account or at all."""


class NoRespondersError(BusUnavailableError):
    """Nobody answers for what was asked."""


class ApiError(msgspec.Struct):
    """What JetStream does not do, and why."""

    description: str = ""
    err_code: int = 0


class StreamConfig(msgspec.Struct):
    """What may differ between the stream that is there and the one that is wanted."""

    num_replicas: int = 0
    max_bytes: int = 0
    republish: dict[str, object] | None = None

    def matches(self, wanted: dict[str, object]) -> bool:
        """Whether the stream is as it is wanted."""
        return all(getattr(self, name) == wanted[name] for name in self.__struct_fields__)


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

    A change carries six of them, of which three matter.
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


def stream_config(*, replicas: int, max_bytes: int) -> dict[str, object]:
    """Describe the stream: the newest value of each key, in memory, republished."""
    wildcards = ".".join("*" * (TOPIC_TOKENS + 2))
    topic = ".".join(f"{{{{wildcard({n})}}}}" for n in range(1, TOPIC_TOKENS + 1))
    return {
        "name": STREAM,
        "description": "The state of the Pogo cluster",
        "subjects": [f"{KEY_PREFIX}>"],
        "retention": "limits",
        "storage": "memory",
        "max_msgs_per_subject": 1,
        "max_bytes": max_bytes,
        # A full store refuses what is new; the other policy would drop what is true.
        "discard": "new",
        "num_replicas": replicas,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,
        "deny_delete": True,
        # Writes carry no message id to look for.
        "duplicate_window": 100_000_000,
        "republish": {"src": KEY_PREFIX + wildcards, "dest": FEED_PREFIX + topic},
    }


def feed_subject(topic: str) -> str:
    """Name the subject of a topic's changes; a short topic is everything below it."""
    is_whole = topic.count(".") + 1 == TOPIC_TOKENS
    return FEED_PREFIX + topic + ("" if is_whole else ".>")


def marker_key(topic: str) -> str:
    """Name a key under a topic that means nothing."""
    fill = f".{_FILL}" * (TOPIC_TOKENS - topic.count(".") - 1)
    return f"{topic}{fill}.{_MARKER_OWNER}.{_FILL}"


def is_marker(key: str) -> bool:
    """Whether a key means nothing."""
    return f".{_MARKER_OWNER}." in key


def change_of(headers: Headers, data: bytes) -> Change:
    """Read a change, as it was republished or read from the stream.

    Raises:
        ValueError: It is none.
    """
    subject, revision = headers.get(b"Nats-Subject"), headers.get(b"Nats-Sequence")
    if subject is None or revision is None:
        raise ValueError("a message of the registry has neither key nor revision")
    value = None if headers.get(b"KV-Operation") else data
    return Change(subject[len(KEY_PREFIX) :].decode(), value, int(revision))


def entry_of(key: str, stored: Stored) -> Entry | None:
    """Read an entry from the answer to a question for it; `None` where there is none."""
    message = stored.message
    if message is None or b"KV-Operation" in base64.b64decode(message.hdrs):
        return None
    return Entry(key, base64.b64decode(message.data), message.seq)


def pub_write(key: str, value: bytes | None, reply: bytes, revision: int | None = None) -> bytes:
    """Write a key, or remove it; with a `revision`, only if its subject is at that sequence.

    What is written is never smaller than the note of its removal, and all revisions have the same
    width: a store that is full takes a message only in place of one that is no smaller.
    """
    fields = _TOMBSTONE
    if value is not None:
        missing = _TOMBSTONE_SIZE - len(value)
        fields = b"" if missing <= 0 else _PADDING % (b"." * missing)
    if revision is not None:
        fields += b"Nats-Expected-Last-Subject-Sequence: %020d\r\n" % revision
    return pub(KEY_PREFIX + key, value or b"", reply, fields)


def pub_marker(topic: str) -> bytes:
    """Write a topic's marker; nobody has to answer."""
    return pub(KEY_PREFIX + marker_key(topic), b"", b"", _MARKER)


def pub(subject: str, payload: bytes, reply: bytes, fields: bytes = b"") -> bytes:
    """Write a message, with headers if there are any; `reply` may be empty."""
    target = b"%b %b" % (subject.encode(), reply) if reply else subject.encode()
    if not fields:
        return b"PUB %b %d\r\n%b\r\n" % (target, len(payload), payload)
    head = _HEAD % fields
    sizes = len(head), len(head) + len(payload)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (target, *sizes, head, payload)
