"""The auth worker that boots once, as a process of its own.

async with Worker(tmp_path / "worker", app=EXAMPLE) as worker:
    with FastCgi(worker.address) as client:
        client.ask(post("/pogo/auth"), body)
"""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.php_worker.fastcgi import GET_VALUES, Answer, FastCgi, Record
from tests.servers import HOST, ServerProcess

PHP = Path(__file__).parents[2] / "php"
EXAMPLE = PHP / "worker" / "examples" / "pogo-auth.php"
KEY, SECRET = "shop", "shop-secret"
MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ENVIRONMENT = {
    "POGO_APP_ID": KEY,
    "POGO_APP_SECRET": SECRET,
    "POGO_ENCRYPTION_MASTER_KEY_BASE64": MASTER_KEY,
}
SOCKET_ID = "123.456"


class Worker(ServerProcess):
    """`php worker.php`, on a Unix socket or, with `tcp`, on its port."""

    name = "worker"

    def __init__(
        self,
        directory: Path,
        *args: str,
        app: Path = EXAMPLE,
        package: Path = PHP,
        tcp: bool = False,
        php: str = "php",
        php_options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory)
        self.socket = directory / "worker.sock"
        self._tcp = tcp
        self._command_line = [
            php,
            *php_options,
            str(package / "worker" / "worker.php"),
            f"--app={app}",
        ]
        self._args = args
        self._environment = {**ENVIRONMENT, **(environment or {})}

    @property
    def address(self) -> Path | int:
        """Where a FastCGI client connects."""
        return self.port if self._tcp else self.socket

    @property
    def children(self) -> list[int]:
        """The processes that answer requests."""
        return children_of(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait for the supervisor's end, and return its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        return await asyncio.to_thread(process.wait, 15)

    def kill(self) -> None:
        """End it with SIGKILL, and then its children. Idempotent."""
        children = self.children if self.runs and is_alive(self.pid) else []
        super().kill()
        for pid in children:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        listen = f"{HOST}:{port}" if self._tcp else f"unix:{self.socket}"
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._command_line, f"--listen={listen}", *self._args],
                env={"PATH": os.environ["PATH"], **self._environment},
                stdout=log,
                stderr=log,
            )

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # its socket is its own, and a port that is taken ends it
        return await asyncio.to_thread(self._has_booted, port)

    def _has_booted(self, port: int) -> bool:
        with FastCgi(port if self._tcp else self.socket) as client:
            client.send(Record(GET_VALUES, 0).encode())
            return client.record() is not None


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether there is a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def post(path: str = "/pogo/auth", *, cookie: str = "") -> dict[str, str]:
    """Return the CGI variables of a form that is posted."""
    params = {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": path,
        "SCRIPT_NAME": "/auth.php",
        "SCRIPT_FILENAME": str(PHP / "worker" / "auth.php"),
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_HOST": "shop.example",
    }
    return params | ({"HTTP_COOKIE": cookie} if cookie else {})


def sign(client: FastCgi, channel: str, cookie: str = "", *, keep: bool = True) -> Answer:
    """Ask for the signature of a channel."""
    body = urlencode({"socket_id": SOCKET_ID, "channel_name": channel}).encode()
    return client.ask(post(cookie=cookie), body, keep=keep)


def process(client: FastCgi, cookie: str = "") -> tuple[int, dict[str, Any]]:
    """Ask application.php in which process it runs, and what it knows there."""
    answer = json.loads(sign(client, "presence-process", cookie).body)
    member = json.loads(answer["channel_data"])
    return int(member["user_id"]), member["user_info"]


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until something is so that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
