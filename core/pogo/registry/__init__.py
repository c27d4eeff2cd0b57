"""The registry is the cluster's truth: a replicated key space that all state is derived from.

Presence, occupancy and live nodes are pure functions of its entries. Keys are dotted tokens (see
`pogo.registry.keys`); a *topic* is the first tokens of a key, and everything under one topic is
watched together.

- **Order.** Changes under one topic arrive in one order, the same for every watcher. An entry's
  revision grows with every write anywhere in the registry, and the newest revision wins.
- **Own writes.** A watcher sees its own writes like anyone else's; a write that was acknowledged
  arrives in the feed.
- **Snapshot.** A watch begins with the entries there are, and goes on with every later change.
"""

from pogo.registry.interface import (
    Change,
    Entry,
    Registry,
    RegistryError,
    RegistryUnavailableError,
    RevisionMismatchError,
    Watch,
    Watcher,
)

__all__ = [
    "Change",
    "Entry",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "RevisionMismatchError",
    "Watch",
    "Watcher",
]
