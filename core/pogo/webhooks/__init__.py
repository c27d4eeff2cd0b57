"""Webhooks on their way: queues of events for endpoints, and what was announced of channels.

A store holds both. An adapter is `memory`, `nats` or `redis` here. All of them keep these
guarantees, and `tests/webhooks` holds each one to them against a real server:

- **Queues.** Events are read in the order in which they were stored, from places that never go
  back. An id is stored once in its queue, as long as it does not come again after `DEDUPLICATION`.
- **Bounds.** A queue is bounded in events, and all of them in bytes (in Redis by the server's own
  `maxmemory`, with the policy `noeviction`). What is full refuses what is new, and drops nothing
  but what nobody took for `MAX_AGE`.
- **Ledgers.** Whoever took the lead of an app last is the only one who can commit for it. A commit
  is a change of the ledger and the events that follow from it: both are stored, or neither is. A
  broker that dies in the middle leaves it to the next leader, which has the one with the other.

What is not promised: an event may come twice, when it was stored without a confirmation and comes
again after `DEDUPLICATION`. Where the leader of a NATS stream dies under a batch, one of its events
may come behind a later one. In memory all is lost with the process. NATS and Redis have it on disk,
as far as they were told to: nats-server writes at once, but asks the disk to keep it within two
minutes (`sync_interval`), which only matters if the machine dies, and not where three servers hold
the stream. Redis with `appendonly yes` loses at most about the last second, and a fail-over of it
the latest.
"""

from pogo.webhooks.endpoints import DEFAULT_ENDPOINT, Endpoints
from pogo.webhooks.events import (
    encode_client_event,
    encode_event,
    new_event_id,
    shared_event_id,
)
from pogo.webhooks.interface import (
    CONFIRM_TIMEOUT,
    DEDUPLICATION,
    MAX_AGE,
    MAX_COMMIT_BYTES,
    DeposedError,
    Item,
    Lead,
    Queue,
    QueueFullError,
    Stored,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
)

__all__ = [
    "CONFIRM_TIMEOUT",
    "DEDUPLICATION",
    "DEFAULT_ENDPOINT",
    "MAX_AGE",
    "MAX_COMMIT_BYTES",
    "DeposedError",
    "Endpoints",
    "Item",
    "Lead",
    "Queue",
    "QueueFullError",
    "StoreUnavailableError",
    "Stored",
    "WebhookStore",
    "WebhookStoreError",
    "encode_client_event",
    "encode_event",
    "new_event_id",
    "shared_event_id",
]
