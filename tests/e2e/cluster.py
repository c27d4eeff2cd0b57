"""Pogo as people run it: processes of the `pogo` command, alone or around a bus server."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pogo.client import Client
from tests.e2e.application import Application
from tests.servers import NatsServer, RedisServer

START_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0
_LOOK_AGAIN = 0.02


class ServiceError(Exception):
    """A service did not start, or did not end well."""


class Service:
    """One `pogo serve`, `pogo edge`, `pogo broker` or `pogo authsvc`, on free ports.

    It logs to a file.

    `program` is the `pogo` command, if not that of the checkout.
    """

    def __init__(
        self,
        command: str,
        settings: Mapping[str, str],
        log: Path,
        *,
        program: Sequence[str] = (sys.executable, "-m", "pogo.cli"),
    ) -> None:
        self.settings = settings
        self._log = log
        ports = {"POGO_PORT": "0", "POGO_GRPC_PORT": "0", "POGO_METRICS_PORT": "0"}
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("POGO_", "WS_", "REVERB_"))
        }
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [*program, command],
                # Where no pogo.toml lies.
                cwd=log.parent,
                env={**inherited, **ports, **settings},
                stdout=stream,
                stderr=stream,
            )
        try:
            self._wait_until_ready()
        except ServiceError:
            self.stop()
            raise

    @property
    def port(self) -> int:
        """Where browsers connect."""
        return int(self._logged("edge started")[0]["port"])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def grpc(self) -> str:
        """Where publishers connect, `HOST:PORT`."""
        return f"127.0.0.1:{self._logged('broker started')[0]['grpc_port']}"

    @property
    def http_port(self) -> int:
        """Where server SDKs connect: a broker's own port, or the one of `pogo serve`."""
        logged = self._logged("http api started") or self._logged("edge started")
        return int(logged[0]["port"])

    @property
    def auth_port(self) -> int:
        """Where browsers have channels signed."""
        return int(self._logged("auth service started")[0]["port"])

    @property
    def auth_grpc(self) -> str:
        """Where edges ask the auth service, `HOST:PORT`."""
        return f"127.0.0.1:{self._logged('auth service started')[0]['grpc_port']}"

    @property
    def metrics_port(self) -> int:
        """Where `/metrics` is."""
        ready = self._logged("ready")[0]
        return int(ready.get("metrics_port") or urlsplit(ready["metrics"]).port)

    def stop(self) -> None:
        """Stop the service as a deployment does, and wait until it has ended. Idempotent."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise ServiceError(f"did not stop:\n{self._log.read_text()}") from None

    def errors(self) -> list[str]:
        """Return what it logged that needs somebody's attention."""
        return [str(line) for line in self._lines() if line["level"] in ("error", "critical")]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._logged("ready"):
                return
            time.sleep(_LOOK_AGAIN)
        raise ServiceError(f"did not start:\n{self._log.read_text()}")

    def _logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self._lines() if line["event"] == event]

    def _lines(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


class Cluster:
    """Edges and brokers of one app. In `pogo serve` one process is both."""

    def __init__(self, application: Application, settings: Mapping[str, str], folder: Path) -> None:
        self._application = application
        self._settings = {
            **settings,
            "POGO_APP_ID": application.app_id,
            "POGO_APP_KEY": application.key,
            "POGO_APP_SECRET": application.secret,
            # The tests connect from one address.
            "POGO_HANDSHAKE_RATE": "-1",
        }
        self._folder = folder
        self._exit = ExitStack()
        self._services: list[Service] = []
        self._publishers: list[Client] = []
        self.edges: list[Service] = []
        self.brokers: list[Service] = []

    def start(self) -> None:
        """Start what there is to this set-up."""
        if self._settings["POGO_BUS"] == "memory":
            self.edges = self.brokers = [self._start("serve")]
        else:
            self.edges = [self._start("edge"), self._start("edge")]
            self.brokers = [self._start("broker"), self._start("broker")]
        for broker in self.brokers:
            publisher = Client(
                broker.grpc,
                app_id=self._application.app_id,
                key=self._application.key,
                secret=self._application.secret,
            )
            self._publishers.append(self._exit.enter_context(publisher))

    def start_edge(self) -> Service:
        """Start one more edge: of the same cluster, or a `pogo serve` of its own."""
        return self._start("serve" if self._settings["POGO_BUS"] == "memory" else "edge")

    def publish(
        self, channel: str, event: str, data: str, *, socket_id: str = "", broker: int = -1
    ) -> None:
        """Publish JSON text through a broker, the last one if nothing else is said."""
        self._publishers[broker].publish(channel, event, data, socket_id=socket_id)

    def broadcast(self, channels: Sequence[str], event: str, data: str) -> None:
        """Publish JSON text on several channels through the last broker."""
        self._publishers[-1].broadcast(channels, event, data)

    def errors(self) -> list[str]:
        """Return what any of the services logged that needs somebody's attention."""
        return [line for service in self._services for line in service.errors()]

    def stop(self) -> None:
        """Stop all services."""
        self._exit.close()

    def _start(self, command: str) -> Service:
        log = self._folder / f"{command}-{len(self._services)}.log"
        service = Service(command, self._settings, log)
        self._exit.callback(service.stop)
        self._services.append(service)
        return service


@contextmanager
def running_cluster(kind: str, application: Application, folder: Path) -> Iterator[Cluster]:
    """Run the set-up of that name: `serve`, or two edges and two brokers on `nats` or `redis`."""
    with running_bus(kind, folder) as settings:
        cluster = Cluster(application, settings, folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def running_bus(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a bus server, and yield the settings that lead to it."""
    if kind == "serve":
        yield {"POGO_BUS": "memory"}
        return
    server = NatsServer(folder / kind) if kind == "nats" else RedisServer(folder / kind)
    asyncio.run(server.start())
    try:
        where = {"POGO_NATS_URL": f"nats://127.0.0.1:{server.port}"}
        if kind == "redis":
            where = {"POGO_REDIS_PORT": str(server.port)}
        yield {"POGO_BUS": kind, **where}
    finally:
        asyncio.run(server.stop())
