"""Records: small values that are gone after a while, shared by all processes of the cluster.

A bucket holds records by key. Unlike the registry, nobody follows them and nobody owns them. An
adapter is one module here (`memory`, `nats`, `redis`; the last two share `remote`). All of them
keep these guarantees, and `tests/records` holds each one to them against a real server:

- **Compare-and-set.** A write names the revision that it replaces, or that there must be none: of
  several such writers at once, one succeeds at most. A write that names no revision replaces
  whatever is there: of several, the last one that reached the store stands.
- **Revisions** of one key rise with each write, also where its record was gone meanwhile, and where
  a store has lost everything and begins anew, as far as its clock does not go back.
- **Lifetime.** A record is there for its whole lifetime, by the store's clock and from the moment
  it was stored, and is absent a second or two later at the latest. Each write begins it anew.
- **Memory.** A bucket is bounded in bytes (in Redis by the server's own `maxmemory`, with the
  policy `noeviction`). One that is full refuses what is new, and never drops what it holds. A
  record can still be replaced there by one that is no larger, except in Redis.

What is not promised: records live in memory, so they are lost with the server, or with the last one
of a NATS cluster that has them; a Redis fail-over can lose the latest. A write that was not
confirmed may have happened.
"""

from pogo.records.interface import (
    CONFIRM_TIMEOUT,
    Record,
    RecordMismatchError,
    Records,
    RecordsError,
    RecordsUnavailableError,
    Write,
)

__all__ = [
    "CONFIRM_TIMEOUT",
    "Record",
    "RecordMismatchError",
    "Records",
    "RecordsError",
    "RecordsUnavailableError",
    "Write",
]
