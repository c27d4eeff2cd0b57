"""`pogo edge --workers N` as a process, its clients, and what can be seen of its workers."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.cli.process import TIMEOUT, Pogo
from tests.servers import HOST, NatsServer

PORTS = ("--port", "0", "--metrics-port", "0")
APP = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "secret-of-the-shop"}

SHUTDOWN_TIMEOUT = 2.0
"""Seconds that an edge has to close its clients."""


def environment(nats: NatsServer) -> dict[str, str]:
    """Return the settings of edges that meet on a server."""
    return {
        **APP,
        "POGO_BUS": "nats",
        "POGO_NATS_URL": nats.url,
        "POGO_HANDSHAKE_RATE": "-1",
        "POGO_SHUTDOWN_TIMEOUT": f"{SHUTDOWN_TIMEOUT}",
    }


class Workers(Pogo):
    """Two workers and their parent."""

    # A restart is the start of two processes, one after the other.
    patience = 3 * TIMEOUT
    port: int
    metrics_port: int

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            ready = await self.logged("ready")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self.port, self.metrics_port = ready["port"], ready["metrics_port"]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        # Workers should end with their parent; where they do not, a test fails, and leaves none.
        await asyncio.wait([self._readers], timeout=TIMEOUT)
        if not self._readers.done():
            for line in self.log("worker ready"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(line["worker_pid"], signal.SIGKILL)
        await super().__aexit__(exc_type, exc, traceback)

    @property
    def pids(self) -> dict[int, int]:
        """The process of each worker that got ready last."""
        return {line["worker"]: line["worker_pid"] for line in self.log("worker ready")}

    def hang_up(self) -> None:
        """Ask for a rolling restart."""
        self.process.send_signal(signal.SIGHUP)

    def kill(self, worker: int) -> None:
        """End a worker as the system does when memory runs out."""
        os.kill(self.pids[worker], signal.SIGKILL)

    async def connect(self) -> ClientConnection:
        """Connect a client, and wait until it is welcome."""
        client = await connect(f"ws://{HOST}:{self.port}/app/shop?protocol=7", close_timeout=1)
        await client.recv()
        return client

    async def page(self) -> str:
        """Read the metrics page."""
        url = f"http://{HOST}:{self.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    async def metric(self, name: str) -> dict[str, float]:
        """Read one of Pogo's metrics, by worker."""
        return {
            sample.labels["worker"]: sample.value
            for family in text_string_to_metric_families(await self.page())
            for sample in family.samples
            if sample.name == f"pogo_websocket_{name}"
        }


@contextlib.asynccontextmanager
async def two_workers(directory: Path) -> AsyncIterator[Workers]:
    """Run a nats-server, and two workers on it."""
    async with NatsServer(directory / "nats") as nats:
        env = environment(nats)
        async with Workers(directory, "edge", *PORTS, "--workers", "2", env=env) as workers:
            yield workers


async def close_code(client: ClientConnection) -> int:
    """Wait until a client is closed; 1006 is a connection that broke off."""
    async with asyncio.timeout(TIMEOUT):
        try:
            while True:
                await client.recv()
        except ConnectionClosed:
            return client.close_code or 0


async def is_served(client: ClientConnection) -> bool:
    """Whether a client still gets the next answer that it asks for, and nothing else before."""
    await client.send('{"event":"pusher:ping","data":{}}')
    async with asyncio.timeout(TIMEOUT):
        return "pusher:pong" in str(await client.recv())


@dataclass
class Stream:
    """Clients that come one after the other, whatever happens, until they are stopped."""

    workers: Workers
    pause: float = 0.05
    clients: list[ClientConnection] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._coming = asyncio.create_task(self._come())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._coming.cancel()
        await asyncio.gather(self._coming, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self.clients))

    async def _come(self) -> None:
        async with asyncio.TaskGroup() as clients:
            while True:
                clients.create_task(self._try())
                await asyncio.sleep(self.pause)

    async def _try(self) -> None:
        try:
            self.clients.append(await self.workers.connect())
        except Exception as error:  # noqa: BLE001 (any is what must not happen)
            self.refused.append(repr(error))
