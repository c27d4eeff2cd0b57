"""Clients under test, in Node or in Chromium: what they are told to do, and what they then saw.

One Node process (`driver.mjs`) runs them all. Every wait here ends after `PATIENCE` seconds.
"""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 10.0

FOLDER = Path(__file__).parent


class DriverError(Exception):
    """A command failed, or what was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a client saw: an event on a channel, or (where that is `None`) on its connection."""

    channel: str | None
    event: str
    data: Any
    user_id: str | None = None


class Inbox:
    """The reports of one client, in the order in which they came."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._arrived = threading.Condition()

    def add(self, report: Report) -> None:
        """Take one report, from the driver's thread."""
        with self._arrived:
            self._reports.append(report)
            self._arrived.notify_all()

    def take(self, event: str, channel: str | None) -> Report:
        """Wait for the first report of that event, and forget it and nothing else.

        Raises:
            DriverError: It did not come.
        """

        def matching() -> Iterator[Report]:
            return (
                each for each in self._reports if (each.event, each.channel) == (event, channel)
            )

        with self._arrived:
            if not self._arrived.wait_for(lambda: any(matching()), PATIENCE):
                raise DriverError(f"no {event} on {channel}, but {self._reports}")
            found = next(matching())
            self._reports.remove(found)
            return found

    def events(self, channel: str | None) -> list[str]:
        """Name the events of a channel that came so far and were not taken."""
        with self._arrived:
            return [report.event for report in self._reports if report.channel == channel]


class Driver:
    """The Node process. Commands may come from one thread only."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._inboxes: defaultdict[str, Inbox] = defaultdict(Inbox)
        self._last_id = 0
        self._has_browser = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def call(self, where: str, do: str, **arguments: Any) -> Any:
        """Carry out one command and return its value.

        Raises:
            DriverError: It failed, or was not answered in time.
        """
        self._last_id += 1
        command = {"id": self._last_id, "where": where, "do": do, **arguments}
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        try:
            answer = self._answers.get(timeout=2 * PATIENCE)
        except queue.Empty:
            raise DriverError(f"no answer to {command}") from None
        if "error" in answer:
            raise DriverError(f"{command}: {answer['error']}")
        return answer["value"]

    def inbox(self, client: str) -> Inbox:
        """Return the reports of a client."""
        return self._inboxes[client]

    def launch_browser(self) -> None:
        """Start Chromium, unless it runs."""
        if not self._has_browser:
            path = shutil.which("chromium")
            if path is None:
                raise DriverError("chromium is missing: run `make e2e`, which installs it")
            self.call("browser", "launch", path=path)
            self._has_browser = True

    def stop(self) -> None:
        """End the process, and with it Chromium."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                message = json.loads(line)
                if "id" in message:
                    self._answers.put(message)
                else:
                    self._inboxes[message.pop("client")].add(Report(**message))
        self._answers.put({"error": "the driver ended"})


@contextmanager
def running_driver(environment: Mapping[str, str] | None = None) -> Iterator[Driver]:
    """Run the Node process, with these variables as well."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        raise DriverError("node or the clients are missing: run `make e2e`, which installs them")
    driver = Driver(
        subprocess.Popen(
            [node, "driver.mjs"],
            cwd=FOLDER,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    try:
        yield driver
    finally:
        driver.stop()
