"""`pogo edge --workers N`: N processes on one port, and the parent that looks after them.

Each worker is an edge of its own: it has its own name in the cluster, its own connections to the
bus, and its own limits. The parent serves nobody but whoever reads the metrics.

- `Listeners` are the sockets: all bound to one address with SO_REUSEPORT, one for each worker. The
  kernel spreads new connections over them. The parent holds them for its whole life, so a
  worker that is replaced leaves no gap: who comes in between waits in the socket's queue.
- `WorkerProcess` is one process, started by exec. `ParentLink` is its end of a socket pair that it
  inherits: over it, it says that it is ready and what it counts, and sees the end of the parent.
- `Slot` is the place of one worker: it has a process there, and another one when that ends.
- `Supervisor` has all slots, and replaces their workers in turn when asked to.
"""

from pogo.cli.workers.count import worker_count
from pogo.cli.workers.job import Job
from pogo.cli.workers.link import ParentLink
from pogo.cli.workers.run import run_workers

__all__ = ["Job", "ParentLink", "run_workers", "worker_count"]
