"""Nodes of a cluster: edges and brokers that can be killed, stopped, started again, and asked."""

import asyncio
import http.client
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.cable import Cable
from tests.e2e.cluster import Service, ServiceError
from tests.servers import HOST, free_port

END_TIMEOUT = 20.0
_NEW = (sys.executable, "-m", "pogo.cli")
_OLD = os.environ.get("POGO_TEST_OLD_POGO", "")
"""The command of an earlier version, for a cluster that is being upgraded."""
_OLD_ROLES = os.environ.get("POGO_TEST_OLD_ROLES", "").split()
_HTTP_TIMEOUT = 2.0


class _Life(Service):
    """One process of a node, from its start to its end."""

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        return self._lines()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended does not mind."""
        self._process.send_signal(number)

    def wait(self, within: float) -> int:
        """Wait for its end and return its exit status, negative for a signal.

        Raises:
            ServiceError: It has not ended.
        """
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{self._log} has not ended after {within} s") from None

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None


class Node:
    """One `pogo edge` or `pogo broker` in all its lives, always on the same ports.

    What takes time is a coroutine, so that clients in this process go on meanwhile.
    """

    def __init__(
        self,
        command: str,
        name: str,
        settings: Mapping[str, str],
        folder: Path,
        cable: Cable | None = None,
    ) -> None:
        port = "POGO_PORT" if command == "edge" else "POGO_GRPC_PORT"
        self.name = name
        self.port = free_port()
        # Between the node and its bus server, if there is one.
        self._cable = cable
        self._command = command
        # What a broker answers by HTTP is nobody's business here.
        self._settings = {"POGO_PORT": "0", **settings, port: str(self.port)}
        self._folder = folder
        self._lives: list[_Life] = []
        self._numbers = itertools.count()

    @property
    def cable(self) -> Cable:
        """What lies between the node and its bus server."""
        assert self._cable is not None, f"{self.name} has no cable"
        return self._cable

    @property
    def runs(self) -> bool:
        """Whether there is a process, frozen or not."""
        return bool(self._lives) and not self._lives[-1].ended

    # What is done to it

    async def start(self) -> None:
        """Start the process, and wait until it says that it is ready."""
        assert not self.runs, f"{self.name} runs already"
        log = self._folder / f"{self.name}-{next(self._numbers)}.log"
        # An upgrade is a restart.
        is_old = self._command in _OLD_ROLES and not self._lives
        program = (_OLD,) if is_old else _NEW
        life = await asyncio.to_thread(_Life, self._command, self._settings, log, program=program)
        self._lives.append(life)

    def kill(self) -> None:
        """End the process with SIGKILL; it is gone when this returns."""
        life = self._lives[-1]
        life.send(signal.SIGKILL)
        life.wait(END_TIMEOUT)

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: connections stay open and nothing answers."""
        life = self._lives[-1]
        life.send(signal.SIGSTOP)
        os.waitid(os.P_PID, life.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let a frozen process go on. Harmless where it is not frozen."""
        self._lives[-1].send(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the process to end, with SIGTERM."""
        self._lives[-1].send(signal.SIGTERM)

    def reload(self) -> None:
        """Ask the process to read its apps again, with SIGHUP."""
        self._lives[-1].send(signal.SIGHUP)

    async def ended(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        return await asyncio.to_thread(self._lives[-1].wait, END_TIMEOUT)

    async def stop(self) -> None:
        """End the process as a deployment does, whatever was done to it. Idempotent."""
        if self._cable is not None:
            self._cable.mend()
        if self.runs:
            self.thaw()
            await asyncio.to_thread(self._lives[-1].stop)

    async def repair(self) -> None:
        """Undo what was done to it."""
        if self._cable is not None:
            self._cable.mend()
        if self.runs:
            self.thaw()
        else:
            await self.start()

    async def close(self) -> None:
        """Stop it for good."""
        await self.stop()
        if self._cable is not None:
            self._cable.close()

    # What it says

    async def health(self) -> tuple[int, str]:
        """Return status and text of `/pogo/health`.

        Raises:
            OSError: It cannot be reached.
        """
        return await asyncio.to_thread(_get, self.port, "/pogo/health")

    async def status(self) -> int:
        """Return the status of `/pogo/health`.

        Raises:
            OSError: It cannot be reached.
        """
        return (await self.health())[0]

    async def metric(self, name: str) -> float | None:
        """Return one of its metrics, named without `pogo_websocket_`; `None` if it has none.

        Raises:
            OSError: It cannot be reached.
        """
        port = int(self.logged("ready")[-1]["metrics_port"])
        _, page = await asyncio.to_thread(_get, port, "/metrics")
        for line in page.splitlines():
            if line.startswith(f"pogo_websocket_{name} "):
                return float(line.split()[-1])
        return None

    def lines(self) -> list[dict[str, Any]]:
        """Return all that it has logged, in all its lives."""
        return [line for life in self._lives for line in life.lines()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.lines() if line["event"] == event]


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=_HTTP_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
