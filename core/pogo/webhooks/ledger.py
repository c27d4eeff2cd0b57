"""The ledger of an app as a log: what NATS holds of it, and what follows from that.

Each commit is one record, so that it is there whole or not at all. The ledger is what its records
make of it one after the other. To make the log shorter, its leader writes what there is anew and
drops what came before: at every moment the records that are left make the same ledger.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pogo.webhooks.interface import MAX_COMMIT_BYTES, Item, Queue

RECORD_OVERHEAD = 100
"""Bytes that a record takes beside what it says."""

KEY_OVERHEAD = 10
"""Bytes that a key takes in a record beside itself and its value."""

MIN_EXCESS = 32 * 1024
"""Bytes of records that mean nothing any more which a log may have, however short it is."""


class Record(msgspec.Struct, array_like=True, frozen=True):
    """One commit."""

    changes: dict[str, bytes | None] = {}
    endpoints: list[str] = []
    """Whose queues its events are for."""
    events: list[tuple[int, str, bytes]] = []
    """The place of an event's endpoint among those, its id and its body."""

    @classmethod
    def of(cls, changes: Mapping[str, bytes | None], items: Sequence[Item]) -> "Record":
        """Write down a commit."""
        endpoints = list(dict.fromkeys(item.queue.endpoint for item in items))
        places = {endpoint: place for place, endpoint in enumerate(endpoints)}
        events = [(places[item.queue.endpoint], item.id, item.body) for item in items]
        return cls(dict(changes), endpoints, events)

    def items(self, app_id: str) -> list[Item]:
        """Return its events."""
        queues = [Queue(app_id, endpoint) for endpoint in self.endpoints]
        return [Item(queues[place], event_id, body) for place, event_id, body in self.events]


encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


class Ledger:
    """What an app's log says, and how much of it is still needed."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self._needed = 0
        self._written = 0

    @property
    def is_long(self) -> bool:
        """Whether the log says more that is over than that is so."""
        return self._written > MIN_EXCESS + 2 * self._needed

    def apply(self, record: Record, size: int) -> None:
        """Take the next record; `size` is its length in bytes."""
        self._written += RECORD_OVERHEAD + size
        for key, value in record.changes.items():
            old = self.values.pop(key, None)
            if old is not None:
                self._needed -= _size(key, old)
            if value is not None:
                self.values[key] = value
                self._needed += _size(key, value)

    def anew(self) -> Iterator[Record]:
        """Say everything again, in records of a commit's size; at least one."""
        changes: dict[str, bytes | None] = {}
        size = 0
        for key, value in self.values.items():
            if size + _size(key, value) > MAX_COMMIT_BYTES:
                yield Record(changes)
                changes, size = {}, 0
            changes[key] = value
            size += _size(key, value)
        yield Record(changes)

    def was_written_anew(self) -> None:
        """Take that the log has nothing but what is needed."""
        self._written = self._needed


def _size(key: str, value: bytes) -> int:
    return KEY_OVERHEAD + len(key) + len(value)
