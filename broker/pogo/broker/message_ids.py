"""What a record of a message id says, and what follows from it. Pure: no I/O, no clock.

A record is a letter for its phase, a random token of the attempt that wrote it, a fingerprint of
what was to be published, and a byte for each event: its status. While the attempt is under way,
these bytes mean nothing; they keep the room for the answer.
"""

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pogo.broker.events import Event
from pogo.broker.status import SUCCESS, Outcome
from pogo.bus.subjects import encode_token
from pogo.rpc.v1.status import StatusCode

MAX_LENGTH = 128
"""Bytes of a message id: a UUID has 36, a SHA-512 in hexadecimal digits 128."""

TOKEN_SIZE = 8
_FINGERPRINT_SIZE = 16
_UNANSWERED = 0xFF


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """For how long a message id is remembered, in seconds."""

    pending: int = 10
    """While its events are being published, or where nobody knows whether they were."""
    done: int = 300
    """Once they were."""


LIFETIMES = Lifetimes()


class ConflictError(Exception):
    """A message id was used for something else before. The message goes to the caller."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"the message_id {message_id!r} was used for another message")
        self.message_id = message_id


class _Phase(enum.Enum):
    PENDING = b"p"
    DONE = b"d"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one attempt to publish says of itself."""

    token: bytes
    fingerprint: bytes
    size: int
    """How many events it has."""

    @property
    def pending(self) -> bytes:
        """The record while it is under way."""
        return self._record(_Phase.PENDING, bytes([_UNANSWERED]) * self.size)

    def done(self, outcomes: Sequence[Outcome]) -> bytes:
        """The record once it is over."""
        return self._record(_Phase.DONE, bytes([outcome.status for outcome in outcomes]))

    def _record(self, phase: _Phase, statuses: bytes) -> bytes:
        return phase.value + self.token + self.fingerprint + statuses


@dataclass(frozen=True, slots=True)
class Found:
    """A record that another attempt wrote."""

    fingerprint: bytes
    outcomes: list[Outcome] | None
    """How it was answered; `None` while it is under way."""

    @classmethod
    def read(cls, record: bytes) -> "Found":
        """Read a record.

        Raises:
            ValueError: It is none that we know.
        """
        phase = _Phase(record[:1])
        start = 1 + TOKEN_SIZE + _FINGERPRINT_SIZE
        if len(record) <= start:
            raise ValueError("a record of a message id is too short")
        fingerprint = record[1 + TOKEN_SIZE : start]
        if phase is _Phase.PENDING:
            return cls(fingerprint, None)
        return cls(fingerprint, [_repeated(StatusCode(status)) for status in record[start:]])


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to be remembered of an attempt that is over."""

    record: bytes | None
    """`None` where it is to be forgotten."""
    ttl: int


def end(claim: Claim, outcomes: Sequence[Outcome], lifetimes: Lifetimes) -> Ending:
    """Tell what is to be remembered.

    What was published is never published again. What certainly was not, may be tried again at once.
    Where there is doubt, the answer stays for as long as an attempt may be under way.
    """
    if any(outcome.status is StatusCode.SUCCESS for outcome in outcomes):
        return Ending(claim.done(outcomes), lifetimes.done)
    if any(outcome.in_doubt for outcome in outcomes):
        return Ending(claim.done(outcomes), lifetimes.pending)
    return Ending(None, 0)


def record_key(app_id: str, message_id: str) -> str:
    """Name the record of an app's message id."""
    return f"{encode_token(app_id)}.{encode_token(message_id)}"


def fingerprint(events: Sequence[Event]) -> bytes:
    """Tell events from others: all that callers say of them counts, and their order."""
    text = msgspec.msgpack.encode(events)
    return hashlib.blake2b(text, digest_size=_FINGERPRINT_SIZE).digest()


def _repeated(status: StatusCode) -> Outcome:
    if status is StatusCode.SUCCESS:
        return SUCCESS
    # Whoever repeats it knows no more than whoever came first.
    in_doubt = status is StatusCode.BROKER_PUBLISH_FAILED
    return Outcome(status, "so it was answered to the first call with this message_id", in_doubt)
