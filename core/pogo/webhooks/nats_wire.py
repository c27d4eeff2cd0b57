"""How the two streams of the webhook store are made, and what is read of both."""

import time

import msgspec

from pogo.bus import BusUnavailableError
from pogo.bus.nats_messages import ApiError, Headers
from pogo.webhooks.interface import DEDUPLICATION, MAX_AGE
from pogo.webhooks.places import EVENTS, HINTS, LEDGERS

QUEUES_STREAM = "pogo_webhooks"
LEDGERS_STREAM = "pogo_ledgers"

_END = 204
_NOTHING = 404
"""How an answer ends: behind messages, or where there is none."""


class _State(msgspec.Struct):
    bytes: int = 0
    # Messages of each subject that was asked for.
    subjects: dict[str, int] = {}


class _Config(msgspec.Struct):
    max_bytes: int = -1


class Info(msgspec.Struct):
    """The answer to a question for what a stream holds."""

    state: _State = msgspec.field(default_factory=_State)
    config: _Config = msgspec.field(default_factory=_Config)
    error: ApiError | None = None


decode_info = msgspec.json.Decoder(Info).decode


def queues_config(queue_size: int) -> dict[str, object]:
    """Say how the stream of queues is to be."""
    wildcards = "{{wildcard(1)}}.{{wildcard(2)}}"
    return {
        "description": "Events of Pogo on their way to webhooks",
        "subjects": [f"{EVENTS}.*.*"],
        "retention": "limits",
        "storage": "file",
        # A full queue refuses what is new; the other policy would drop what was promised.
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": queue_size,
        "max_age": _nanoseconds(MAX_AGE),
        "duplicate_window": _nanoseconds(DEDUPLICATION),
        "allow_direct": True,
        "first_seq": _first_sequence(),
        "republish": {
            "src": f"{EVENTS}.*.*",
            "dest": f"{HINTS}.{wildcards}",
            "headers_only": True,
        },
    }


def ledgers_config() -> dict[str, object]:
    """Say how the stream of ledgers is to be."""
    return {
        "description": "What Pogo has announced to webhooks",
        "subjects": [f"{LEDGERS}.*.*"],
        "retention": "limits",
        "storage": "file",
        "max_msgs_per_subject": -1,
        # A full stream refuses what is new; the other policy would forget what was announced.
        "discard": "new",
        "allow_direct": True,
        # Records carry no message id to look for.
        "duplicate_window": _nanoseconds(0.1),
        "first_seq": _first_sequence(),
    }


def check_end(end: Headers) -> None:
    """See that a server could read: otherwise it does not say that there is nothing.

    Raises:
        BusUnavailableError: It could not.
    """
    if end.status not in (_END, _NOTHING):
        raise BusUnavailableError(f"nats-server could not read: status {end.status}")


def _first_sequence() -> int:
    """Return where a stream that is made now begins.

    That is the time in microseconds: so a stream that begins anew, after everything was lost, uses
    no number again.
    """
    return time.time_ns() // 1000


def _nanoseconds(seconds: float) -> int:
    """Write a duration as JetStream takes it."""
    return int(seconds * 1_000_000_000)
