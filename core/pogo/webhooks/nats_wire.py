"""How the two streams of the webhook store are made, and what is read of both."""

import msgspec

from pogo.bus import BusUnavailableError
from pogo.bus.nats_jetstream import NoJetStreamError
from pogo.bus.nats_messages import ApiError, Headers, first_sequence
from pogo.webhooks.interface import DEDUPLICATION, MAX_AGE, MAX_COMMIT_BYTES
from pogo.webhooks.places import EVENTS, HINTS, LEDGERS

QUEUES_STREAM = "pogo_webhooks"
LEDGERS_STREAM = "pogo_ledgers"

MIN_PAYLOAD = 2 * MAX_COMMIT_BYTES + 128 * 1024
"""Bytes that a message may need: those of a commit, of the events that wait, and around them."""

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
        "first_seq": first_sequence(),
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
        "first_seq": first_sequence(),
    }


def check_payload(max_payload: int) -> None:
    """See that a server takes the largest record there may be.

    Raises:
        NoJetStreamError: It does not, as it is configured.
    """
    if max_payload < MIN_PAYLOAD:
        raise NoJetStreamError(
            f"this nats-server takes messages of {max_payload} bytes, and webhooks need up to "
            f"{MIN_PAYLOAD}: raise its `max_payload`, which is 1 MB by default"
        )


def check_end(end: Headers) -> None:
    """See that a server could read: otherwise it does not say that there is nothing.

    Raises:
        BusUnavailableError: It could not.
    """
    if end.status not in (_END, _NOTHING):
        raise BusUnavailableError(f"nats-server could not read: status {end.status}")


def _nanoseconds(seconds: float) -> int:
    """Write a duration as JetStream takes it."""
    return int(seconds * 1_000_000_000)
