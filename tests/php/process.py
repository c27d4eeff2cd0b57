"""PHP as a back end: one process of the `php` command that publishes what a test tells it to."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pogo.settings import App

DRIVER = Path(__file__).with_name("driver.php")
FORK = Path(__file__).with_name("fork.php")
PUBLISH = "pogo_websocket_publish"
BROADCAST_MULTI = "pogo_websocket_broadcast_multi"

_ANSWER_TIMEOUT = 10.0
_CALL_AGAIN = 0.05


class PhpError(Exception):
    """PHP ended, or said something else than an answer."""


def environment(app: App, **more: str) -> dict[str, str]:
    """Return what PHP needs to know to publish as an app: settings without their `POGO_`."""
    secret = app.secret.get_secret_value()
    settings = {"APP_ID": app.id, "APP_KEY": app.key, "APP_SECRET": secret, **more}
    return {f"POGO_{name}": value for name, value in settings.items()}


class Php:
    """One PHP process. Its client, and with it the connection, lives as long as it does."""

    def __init__(self, settings: Mapping[str, str], log: Path) -> None:
        self._settings = settings
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        """What it has logged, and complained of, so far."""
        return self._log.read_text()

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as stream:
            self._process = await asyncio.create_subprocess_exec(
                *[
                    "php",
                    "-d",
                    "error_reporting=-1",
                    "-d",
                    "display_errors=stderr",
                    str(DRIVER),
                ],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                env={**_inherited(), **self._settings},
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ANSWER_TIMEOUT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise

    async def call(self, what: str, *arguments: object) -> dict[str, Any]:
        """Have it call one of the two functions or a method of `Client`, and return the answer.

        Raises:
            PhpError: It ended instead.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, arguments]).encode() + b"\n")
        answer = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_TIMEOUT)
        if not answer.endswith(b"\n"):
            raise PhpError(self.log)
        content: dict[str, Any] = json.loads(answer)
        return content

    async def code(self, function: str, *arguments: str) -> int:
        """Call one of the two functions, and return its code."""
        return int((await self.call(function, *arguments))["code"])

    async def until_code(self, expected: int, function: str, *arguments: str) -> None:
        """Call one of the two functions again and again, until it returns that code."""
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            while True:
                if expected == await self.code(function, *arguments):
                    return
                await asyncio.sleep(_CALL_AGAIN)

    async def outcome(self, method: str, *arguments: object) -> tuple[int, str]:
        """Call a method of `Client` for one event, and return its code and detail."""
        answer = await self.call(method, *arguments)
        if "outcomes" not in answer:
            raise PhpError(answer)
        [[code, detail]] = answer["outcomes"]
        return code, detail


async def run_php(arguments: Sequence[str], settings: Mapping[str, str]) -> tuple[bytes, str]:
    """Run PHP to its end; returns what it said and what it logged.

    Raises:
        PhpError: It failed.
    """
    php = await asyncio.create_subprocess_exec(
        *["php", "-d", "error_reporting=-1", "-d", "display_errors=stderr", *arguments],
        env={**_inherited(), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, log = await asyncio.wait_for(php.communicate(), _ANSWER_TIMEOUT)
    if php.returncode:
        raise PhpError(log.decode())
    return output, log.decode()


async def publish_around_a_fork(settings: Mapping[str, str]) -> list[int]:
    """Publish twice, fork, twice in the child, and twice more; returns the codes.

    The third one is the sum of the child's.
    """
    output, _ = await run_php([str(FORK)], settings)
    codes: list[int] = json.loads(output)
    return codes


def _inherited() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("POGO_", "WS_"))
    }
