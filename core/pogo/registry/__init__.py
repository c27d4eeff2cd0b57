"""The registry is the cluster's truth: a replicated key space that all state is derived from.

Presence, occupancy, counts, signed-in users and live nodes are pure functions of its entries. A key
has five tokens, `{kind}.{scope}.{name}.{owner}.{item}` (see `pogo.registry.keys`): the first three
are its *topic*, the fourth is the node that wrote it. An adapter is one module here (`memory`,
`nats`, `redis`; the last two share `remote`). All of them keep these guarantees, and
`tests/registry` holds each one to them against a real server:

- **Order.** Changes under one topic arrive in one order, the same for every watcher. An entry's
  revision grows with every write to it, and the newest revision wins.
- **Own writes.** A watcher sees its own writes like anyone else's; a write that was acknowledged
  arrives in the feed, or is in the next snapshot.
- **Snapshot.** A watch begins with the entries there are, and goes on with every later change:
  nothing that was written before, during or after falls between the two.
- **A cut.** While the store is away, `connected` is false and nothing changes for a watcher. When
  it is back, every watcher is given a new snapshot *before* `connected` is true again. The same
  happens when changes may have been missed: a leader was lost, the server cut a slow reader.
  Besides, each topic is read again from time to time (`REFRESH_INTERVAL`).
- **Compare-and-set.** Of several writers that saw the same revision, one succeeds at most.
- **Epoch.** A store that began empty has another `epoch` than the one before it. Revisions of two
  epochs cannot be compared; a snapshot belongs to the epoch that the registry names meanwhile.

What is not promised: a write that was not acknowledged may happen all the same, and may happen
later. A Redis fail-over, or a restart from an older dump, can lose acknowledged writes within one
epoch, and count their revisions again. So whoever writes an entry wants a *state*, and repairs it
after each reconnection (`owned`).
"""

from pogo.registry.interface import (
    Change,
    Entry,
    Registry,
    RegistryError,
    RegistryUnavailableError,
    RevisionMismatchError,
    StatusListener,
    Watch,
    Watcher,
    Write,
)
from pogo.registry.keys import Key

__all__ = [
    "Change",
    "Entry",
    "Key",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "RevisionMismatchError",
    "StatusListener",
    "Watch",
    "Watcher",
    "Write",
]
