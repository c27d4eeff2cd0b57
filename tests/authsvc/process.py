"""`pogo authsvc` as people run it, and browsers that ask it all at once."""

import asyncio
import os
import time
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tests.authsvc.helpers import APP, CHANNEL, KEY, SECRET, SOCKET_ID, TIMEOUT
from tests.cli.process import Pogo

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one browser got, and after how many seconds."""

    status: int
    seconds: float


class AuthProcess:
    """A `pogo authsvc` on free ports."""

    def __init__(self, directory: Path, upstream: str, script: str, **settings: str) -> None:
        environment = {
            "POGO_APP_ID": APP,
            "POGO_APP_KEY": KEY,
            "POGO_APP_SECRET": SECRET,
            "POGO_AUTH_UPSTREAM": upstream,
            "POGO_AUTH_SCRIPT": script,
            "POGO_PORT": "0",
            "POGO_GRPC_PORT": "0",
            "POGO_METRICS_PORT": "0",
            "POGO_LOG_FORMAT": "json",
            **{f"POGO_{name.upper()}": value for name, value in settings.items()},
        }
        directory.mkdir(exist_ok=True)
        self.pogo = Pogo(directory, "authsvc", env=environment)

    async def __aenter__(self) -> Self:
        self._exit = AsyncExitStack()
        await self._exit.enter_async_context(self.pogo)
        try:
            ready = await self.pogo.logged("ready")
        except BaseException:
            await self._exit.aclose()
            raise
        self.port = int(ready["port"])
        self._metrics_port = int(ready["metrics_port"])
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.pogo.process.pid

    def resident(self) -> int:
        """Return the bytes of memory that it has."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    async def until_metric(self, name: str, value: float) -> None:
        """Wait until a metric has reached a value."""
        async with asyncio.timeout(TIMEOUT):
            while await self.metric(name) < value:  # noqa: ASYNC110 (another process counts)
                await asyncio.sleep(0.01)

    async def metric(self, name: str) -> float:
        """Read a metric, by its name and labels as they are on the page."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"

        def fetch() -> str:
            with urllib.request.urlopen(url) as response:
                return str(response.read().decode())

        for line in (await asyncio.to_thread(fetch)).splitlines():
            found, _, value = line.rpartition(" ")
            if found == f"pogo_websocket_{name}":
                return float(value)
        raise AssertionError(f"there is no {name}")


class Browsers:
    """So many browsers, each with a connection of its own that it keeps."""

    def __init__(self, port: int, count: int, **fields: str) -> None:
        self._port = port
        self._count = count
        form = urlencode({"socket_id": SOCKET_ID, "channel_name": CHANNEL, **fields}).encode()
        head = "POST /pogo/auth HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        kind = "\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        self._request = f"{head}{len(form)}{kind}".encode() + form
        self._streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._streams.append(await asyncio.open_connection("127.0.0.1", self._port))
        return self

    async def __aexit__(self, *details: object) -> None:
        for _, writer in self._streams:
            writer.close()

    async def ask(self, *, apart: float = 0.0) -> list[Answer]:
        """Let all of them ask at once, or so many seconds apart; nobody waits for another one."""
        asking = []
        for streams in self._streams:
            asking.append(asyncio.create_task(self._ask(*streams)))
            if apart:
                await asyncio.sleep(apart)
        return list(await asyncio.gather(*asking))

    async def until_all_get(self, status: int) -> None:
        """Ask again and again until it is so; the caller says how long."""
        while {answer.status for answer in await self.ask()} != {status}:  # noqa: ASYNC110 (another process changes)
            await asyncio.sleep(0.05)

    async def ask_often(self, times: int) -> list[Answer]:
        """Let each of them ask so often, one request after the other."""

        async def repeat(*streams: Any) -> list[Answer]:
            return [await self._ask(*streams) for _ in range(times)]

        answers = await asyncio.gather(*(repeat(*streams) for streams in self._streams))
        return [answer for each in answers for answer in each]

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        began = time.perf_counter()
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length)
        return Answer(int(head.split()[1]), time.perf_counter() - began)
