"""The services under measurement: processes, as people run them."""

import contextlib
import resource
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import Service
from tests.servers import NatsServer, RedisServer, free_port

from bench.cluster import BenchError
from bench.cpu import cpu_seconds, resident_bytes
from bench.delivery.native import Load
from bench.delivery.publisher import Publisher

APP, SECRET = "bench", "a-secret-that-is-long-enough"

POGO = (sys.executable, "-m", "pogo.cli")
"""The `pogo` command."""

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
    bus: NatsServer | RedisServer | None = None
    """The server between them; none where it is `pogo serve`."""
    monitor: int = 0
    """The port where a nats-server tells about itself."""

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

    def load(self, edge: int = 0, *, tls: bool = False) -> Load:
        """Make clients of one edge."""
        return Load(self.edges[edge].port, APP, SECRET, tls=tls)

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
    bus: str,
    folder: Path,
    *,
    edges: int = 1,
    settings: Mapping[str, str] | None = None,
    edge_settings: Mapping[str, str] | None = None,
    program: Sequence[str] = POGO,
) -> AsyncIterator[Site]:
    """Run `pogo serve` (the bus is `memory`), or edges and a broker on a server (`nats`, `redis`).

    Edges have `edge_settings` beside those of all; `program` is the `pogo` command that runs them.

    Raises:
        ServerError: The server between them did not start.
        ServiceError: A service did not start, or did not end well.
    """
    shared = {**_SETTINGS, **(settings or {})}
    async with contextlib.AsyncExitStack() as stack:

        def run(command: str, name: str, *, edge: bool = True) -> Service:
            service = Service(
                command,
                {**shared, **(edge_settings or {})} if edge else shared,
                folder / f"{name}.log",
                program=program if edge else POGO,
            )
            stack.callback(service.stop)
            return service

        if bus == "memory":
            serve = run("serve", "serve")
            site = Site([serve], serve)
        else:
            monitor = free_port()
            server = (
                RedisServer(folder / bus)
                if bus == "redis"
                else NatsServer(folder / bus, args=["-m", str(monitor)])
            )
            await stack.enter_async_context(server)
            shared |= {"POGO_BUS": bus, **_address(server)}
            members = [run("edge", f"edge-{number}") for number in range(edges)]
            site = Site(members, run("broker", "broker", edge=False), server, monitor)
        yield site
        site.check()


def _address(server: NatsServer | RedisServer) -> dict[str, str]:
    """Return the settings that lead to a server."""
    if isinstance(server, NatsServer):
        return {"POGO_NATS_URL": server.url}
    return {"POGO_REDIS_PORT": str(server.port)}


def allow_descriptors() -> int:
    """Let this process and its children have as many open files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
