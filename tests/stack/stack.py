"""The stack of compose.yaml, brought up as its users do, on ports and networks of its own.

with running_stack(engine, "nats") as stack:
    ...                                 # stack.url
"""

import json
import resource
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.compose import ROOT, compose_command
from tests.documents import documented
from tests.servers import HOST, free_port
from tests.stack.engine import Engine, EngineError

PROJECT = "pogo-test"
EDGES = 3
_BUILD_TIMEOUT = 900.0
_UP_TIMEOUT = 180.0
_TIMEOUT = 90.0
_LABEL = f"label=com.docker.compose.project={PROJECT}"

# What `docker` is for whoever types commands.
_DOCKER = """\
#!/bin/sh
if [ "$1" = compose ]; then shift; exec {compose} "$@"; fi
exec {docker} "$@"
"""

# Asks a service for its metrics, from within its container.
_METRICS = (
    "import urllib.request as r;print(r.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
)


class Stack:
    """One stack."""

    def __init__(
        self, engine: Engine, bus: str, folder: Path, *, env_file: Path | None = None
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._port = free_port()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._variables = {
            "POGO_BUS": bus,
            # No container can have more than the machine.
            "POGO_NOFILE": str(min(hard, 65_536)),
            "HTTP_PORT": f"{HOST}:{self._port}",
            # Beside those of somebody's own stack.
            "FRONT_SUBNET": "172.16.251.0/24",
            "FRONT_RANGE": "172.16.251.128/25",
            "GATEWAY_ADDRESS": "172.16.251.10",
        }
        self._https_port = free_port()
        self._variables["HTTPS_PORT"] = f"{HOST}:{self._https_port}"
        self._command = [
            *compose_command(env_file=env_file),
            *("--file", str(ROOT / "compose.yaml")),
            *("--file", str(ROOT / "tests" / "stack" / "compose.build.yaml")),
            *("--project-name", PROJECT),
        ]
        self._folder = folder
        script = folder / "docker"
        docker = shutil.which("docker", path=engine.environment["PATH"])
        script.write_text(_DOCKER.format(compose=shlex.join(self._command), docker=docker))
        script.chmod(0o755)

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return f"http://{HOST}:{self._port}"

    @property
    def https_port(self) -> int:
        """Where it speaks https, if it is given a name."""
        return self._https_port

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

    def compose(self, *arguments: str, timeout: float = _TIMEOUT, **variables: str) -> str:
        """Run a command of Docker Compose, and return what it says.

        Raises:
            EngineError: It failed.
        """
        return self._engine.run(
            [*self._command, *arguments],
            timeout=timeout,
            variables={**self._variables, **variables},
        )

    def type(self, text: str, *, timeout: float = _TIMEOUT) -> str:
        """Run what a user types in the tree, where `docker compose` means this stack.

        Raises:
            EngineError: It failed.
        """
        begin = f'PATH="{self._folder}:$PATH"; cd {shlex.quote(str(ROOT))}\n'
        command = ["bash", "-e", "-c", begin + text]
        return self._engine.run(command, timeout=timeout, variables=self._variables)

    def up(self) -> None:
        """Build the images, start everything as documented, and wait until it is healthy.

        Raises:
            EngineError: It is not; the message is what the containers have logged.
        """
        self.compose("build", "--quiet", timeout=_BUILD_TIMEOUT)
        first = documented("docs/compose.md", "Try it", "sh")
        scaled, on_redis = documented("docs/compose.md", "Try it", "sh", 2).splitlines()
        try:
            self.type(first if self._bus == "nats" else on_redis, timeout=_UP_TIMEOUT)
            self.type(scaled, timeout=_UP_TIMEOUT)
        except EngineError as error:
            reason = str(error).splitlines()[-1]
            logs = self.compose("logs", "--no-color", "--tail", "20")
            raise EngineError(f"{reason}\n{logs}") from None

    def down(self) -> None:
        """Remove the stack, with its data."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans")

    def containers(self, service: str = "") -> list[str]:
        """Name the containers that run, of one service or of all."""
        lines = self.compose("ps", "--format", "{{.Name}}", *([service] if service else []))
        return sorted(lines.split())

    def inspect(self, container: str) -> dict[str, Any]:
        """Return all that the engine knows of a container."""
        (found,) = json.loads(self._engine.docker("inspect", container))
        return dict(found)

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a service's containers."""
        container = self.inspect(self.containers(service)[0])
        return dict(line.split("=", 1) for line in container["Config"]["Env"])

    def kill(self, container: str) -> None:
        """End a container at once."""
        self._engine.docker("kill", container)

    def logged(self, container: str) -> list[str]:
        """Return the lines that a container has logged, on both streams."""
        log = ["sh", "-c", 'docker logs "$1" 2>&1', "sh", container]
        return self._engine.run(log, timeout=_TIMEOUT).splitlines()

    def metric(self, container: str, name: str) -> int:
        """Sum up a metric of a service."""
        page = self._engine.docker("exec", container, "python3", "-c", _METRICS)
        values = [line.split() for line in page.splitlines() if line.startswith(name)]
        return sum(int(float(value)) for _, value in values)

    def connections(self, edge: str) -> int:
        """Count the clients of an edge, by its metrics."""
        return self.metric(edge, "pogo_websocket_connections_active")

    def left_behind(self) -> Mapping[str, list[str]]:
        """Name what the engine still has of the stack."""
        return {
            what: self._engine.docker(*listing, "--filter", _LABEL).split()
            for what, listing in {
                "containers": ("ps", "--all", "--quiet"),
                "networks": ("network", "ls", "--quiet"),
                "volumes": ("volume", "ls", "--quiet"),
            }.items()
        }


@contextmanager
def running_stack(
    engine: Engine, bus: str, folder: Path, *, env_file: Path | None = None
) -> Iterator[Stack]:
    """Bring the stack up on that bus, and remove it in the end. The folder is for a script."""
    stack = Stack(engine, bus, folder, env_file=env_file)
    stack.down()  # what an interrupted run has left
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
