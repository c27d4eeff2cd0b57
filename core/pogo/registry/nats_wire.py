"""How the registry is laid out in JetStream, and what is said about it.

The stream is a key-value bucket called `pogo`, so that `nats kv` shows it. NATS republishes each
change on a subject of its topic: watching costs no consumer on the server.
"""

import base64

from pogo.bus.nats_messages import Headers, Stored, head, pub
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

_TOMBSTONE_SIZE = len(head(_TOMBSTONE))
_PADDING = b"Pogo-Padding: %b\r\n"


def _stream_config() -> dict[str, object]:
    wildcards = ".".join("*" * (TOPIC_TOKENS + 2))
    topic = ".".join(f"{{{{wildcard({n})}}}}" for n in range(1, TOPIC_TOKENS + 1))
    return {
        "description": "The state of the Pogo cluster",
        "subjects": [f"{KEY_PREFIX}>"],
        "retention": "limits",
        "storage": "memory",
        "max_msgs_per_subject": 1,
        # A full store refuses what is new; the other policy would drop what is true.
        "discard": "new",
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,
        "deny_delete": True,
        # Writes carry no message id to look for.
        "duplicate_window": 100_000_000,
        "republish": {"src": KEY_PREFIX + wildcards, "dest": FEED_PREFIX + topic},
    }


STREAM_CONFIG = _stream_config()
"""The stream: the newest value of each key, in memory, republished."""


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
