"""The services under measurement: processes, as people run them."""

import contextlib
import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import Service
from tests.servers import NatsServer

from bench.cluster import BenchError
from bench.cpu import cpu_seconds, resident_bytes
from bench.delivery.native import Load
from bench.delivery.publisher import Publisher

APP, SECRET = "bench", "a-secret-that-is-long-enough"

_SETTINGS = {
    "POGO_APP_ID": APP,
    "POGO_APP_SECRET": SECRET,
    # All clients come from one address, and send as much as a measurement asks of them.
    "POGO_HANDSHAKE_RATE": "-1",
    "POGO_MESSAGE_RATE": "-1",
    "POGO_CLIENT_EVENT_RATE": "-1",
    "POGO_MAX_CONNECTIONS": "20000",
    "POGO_BROKER_QUEUE_SIZE": "100000",
    "POGO_SHARD_QUEUE_SIZE": "100000",
    "POGO_SHUTDOWN_TIMEOUT": "1s",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Edges, a broker, and what carries events between them."""

    edges: Sequence[Service]
    broker: Service
    """Of `pogo serve`, the edge itself."""

    @property
    def edge(self) -> Service:
        """The only edge, or the first."""
        return self.edges[0]

    @property
    def cpu(self) -> float:
        """Seconds of processor time of the first edge so far."""
        return cpu_seconds(self.edge.pid)

    @property
    def resident(self) -> int:
        """Bytes of memory of the first edge."""
        return resident_bytes(self.edge.pid)

    def load(self, edge: int = 0) -> Load:
        """Make clients of one edge."""
        return Load(self.edges[edge].port, APP, SECRET)

    def publisher(self) -> Publisher:
        """Make a publisher."""
        return Publisher(self.broker.grpc, APP, SECRET)

    def check(self) -> None:
        """See that nothing went wrong in the services.

        Raises:
            BenchError: They logged an error.
        """
        for service in {self.broker, *self.edges}:
            errors = service.errors()
            if errors:
                raise BenchError(f"a service logged {len(errors)} errors, the first: {errors[0]}")


@contextlib.asynccontextmanager
async def open_site(
    bus: str, folder: Path, *, edges: int = 1, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Site]:
    """Run `pogo serve` (the bus is `memory`), or edges and a broker on a nats-server (`nats`).

    Raises:
        ServerError: The nats-server did not start.
        ServiceError: A service did not start, or did not end well.
    """
    shared = {**_SETTINGS, **(settings or {})}
    async with contextlib.AsyncExitStack() as stack:

        def run(command: str, name: str) -> Service:
            service = Service(command, shared, folder / f"{name}.log")
            stack.callback(service.stop)
            return service

        if bus == "memory":
            serve = run("serve", "serve")
            site = Site([serve], serve)
        else:
            server = await stack.enter_async_context(NatsServer(folder / "nats"))
            shared |= {"POGO_BUS": "nats", "POGO_NATS_URL": server.url}
            members = [run("edge", f"edge-{number}") for number in range(edges)]
            site = Site(members, run("broker", "broker"))
        yield site
        site.check()


def allow_descriptors() -> int:
    """Let this process and its children have as many open files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
