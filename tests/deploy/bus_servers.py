"""The bus servers of the stack, with their own configurations, as processes on this machine."""

import asyncio
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.compose import ROOT, compose_config
from tests.servers import HOST, NatsServer, ServerProcess, free_port, nats_server_path

NATS_CONF = ROOT / "deploy" / "bus" / "nats.conf"
REDIS_CONF = ROOT / "deploy" / "bus" / "redis.conf"


class StackNats(NatsServer):
    """The nats-server of the stack. Its passwords are in `environment`."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        super().__init__(directory)
        self._environment = dict(environment)

    def _command(self, port: int) -> list[str]:
        configuration = _with_data_in(self.directory, NATS_CONF)
        own = ["-a", HOST, "-p", str(port), "-m", str(free_port())]
        return [
            *(str(nats_server_path()), "-c", str(configuration), *own),
            *("--server_name", self.server_name),
        ]

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command(port), env=self._environment, stdout=log, stderr=log
            )


class StackRedis(ServerProcess):
    """The redis-server of the stack, by its command there."""

    name = "redis-server"

    def __init__(self, directory: Path, command: list[str]) -> None:
        super().__init__(directory)
        self._arguments = command[2:]

    def _command(self, port: int) -> list[str]:
        configuration = _with_data_in(self.directory, REDIS_CONF)
        where = ["--bind", HOST, "--port", str(port)]
        return ["redis-server", str(configuration), *self._arguments, *where]

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # a port that is taken ends it
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(b"AUTH health any\r\nPING\r\n")
            return (await reader.readline(), await reader.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        finally:
            writer.close()


def _with_data_in(directory: Path, configuration: Path) -> Path:
    """Copy a configuration, with another folder for what is /data in a container."""
    text = configuration.read_text()
    assert "/data" in text
    copy = directory / configuration.name
    copy.write_text(text.replace("/data", str(directory / "data")))
    (directory / "data").mkdir(exist_ok=True)
    return copy


@contextmanager
def stack_bus(kind: str, directory: Path) -> Iterator[ServerProcess]:
    """Run the bus server of compose.yaml."""
    bus = compose_config(POGO_BUS=kind)["services"]["bus"]
    server: ServerProcess
    if kind == "nats":
        server = StackNats(directory, bus["environment"])
    else:
        server = StackRedis(directory, bus["command"])
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


def service_settings(name: str, kind: str, port: int) -> dict[str, str]:
    """Return what compose.yaml gives a service, with that server for its bus."""
    given = compose_config(POGO_BUS=kind)["services"][name]["environment"]
    return {
        **given,
        "POGO_NATS_URL": given["POGO_NATS_URL"].replace("@bus:4222", f"@{HOST}:{port}"),
        "POGO_REDIS_HOST": HOST,
        "POGO_REDIS_PORT": str(port),
    }
