"""The bus carries deliveries from publishers to the edges that have subscribers for them.

An adapter is one module here (`memory`, `nats`, `redis`; the last two share `remote`, which keeps a
`connection` open). All of them keep these guarantees, and `tests/bus` holds each one to them
against a real server:

- **At most once.** A message reaches every subscription of its subject once or not at all.
- **In order** per subject, for the messages of one `Bus` object. Between two publishers only where
  they share a server.
- **Confirmed.** `publish` reports success for a message only when the server has it. A disconnect
  fails what is in flight at once; nothing is buffered for later.
- **Never silently dead.** An adapter reconnects with backoff and jitter for ever, restores every
  subscription, and tells `connected` and its status listeners the truth meanwhile.

What may be lost, and is not reported to the publisher:

- what is published while a subscriber is cut off from the server;
- what NATS or Redis holds for a subscriber that it disconnects because it reads too slowly (Redis
  by `client-output-buffer-limit pubsub`), and for a route or a master that is lost;
- what is published in the moment before a new subscription has spread through a NATS cluster
  (`flush` proves only that the own server has it).
"""

from pogo.bus.interface import (
    Bus,
    BusError,
    BusQueueFullError,
    BusRefusedError,
    BusUnavailableError,
    Handler,
    Message,
    MessageTooLargeError,
    StatusListener,
    Subscription,
)
from pogo.bus.subjects import channel_subject

__all__ = [
    "Bus",
    "BusError",
    "BusQueueFullError",
    "BusRefusedError",
    "BusUnavailableError",
    "Handler",
    "Message",
    "MessageTooLargeError",
    "StatusListener",
    "Subscription",
    "channel_subject",
]
