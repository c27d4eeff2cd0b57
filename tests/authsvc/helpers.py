"""An auth service to ask, and what is needed around it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from prometheus_client import CollectorRegistry

from pogo.authsvc import AuthServer
from pogo.pusher.signatures import sign_channel, sign_user
from pogo.settings import App, Settings

WORKERS = Path(__file__).parent / "workers"
APP, KEY, SECRET = "app", "app-key", "app-secret"
SOCKET_ID = "123.456"
CHANNEL = "private-orders"
TIMEOUT = 10.0


def app(**overrides: object) -> App:
    """Make the app that the workers sign for."""
    return App.model_validate({"id": APP, "key": KEY, "secret": SECRET, **overrides})


def settings(**overrides: object) -> Settings:
    """Make settings for ports that are free."""
    defaults = {"apps": [app()], "port": 0, "grpc_port": 0, "auth_script": "/srv/index.php"}
    return Settings.model_validate({**defaults, **overrides})


def channel_auth(
    channel: str = CHANNEL,
    data: str | None = None,
    *,
    socket_id: str = SOCKET_ID,
    secret: str = SECRET,
    key: str = KEY,
) -> str:
    """Sign a channel as an application does."""
    return f"{key}:{sign_channel(secret.encode(), socket_id, channel, data)}"


def user_auth(data: str, *, socket_id: str = SOCKET_ID, secret: str = SECRET) -> str:
    """Sign a user as an application does."""
    return f"{KEY}:{sign_user(secret.encode(), socket_id, data)}"


@dataclass(frozen=True)
class Reply:
    """What a browser got."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


class Service:
    """An auth service in this process, and a browser that asks it."""

    def __init__(self, **overrides: object) -> None:
        self.metrics = CollectorRegistry()
        self.server = AuthServer(settings(**overrides), metrics=self.metrics)

    async def __aenter__(self) -> Self:
        await self.server.start_http()
        await self.server.start_grpc()
        connector = aiohttp.TCPConnector(limit=0)
        self.session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.session.close()
        await self.server.stop_grpc()
        await self.server.stop_http()

    @property
    def url(self) -> str:
        """Where browsers ask."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def grpc(self) -> str:
        """Where edges ask."""
        return f"127.0.0.1:{self.server.grpc_port}"

    async def ask(
        self,
        channel: str | None = CHANNEL,
        *,
        headers: dict[str, str] | None = None,
        path: str = "/pogo/auth",
        **fields: str,
    ) -> Reply:
        """Ask for a channel's signature as pusher-js does."""
        data = {"socket_id": SOCKET_ID, **fields}
        if channel is not None:
            data["channel_name"] = channel
        return await self.send("POST", path, data=data, headers=headers)

    async def send(self, method: str, path: str = "/pogo/auth", **options: Any) -> Reply:
        """Send any request."""
        async with asyncio.timeout(TIMEOUT):
            response = await self.session.request(
                method, self.url + path, allow_redirects=False, **options
            )
            async with response:
                return Reply(response.status, response.headers.copy(), await response.text())

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric, without `pogo_websocket_`."""
        return self.metrics.get_sample_value(f"pogo_websocket_{name}", labels) or 0.0


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.005)


class ScriptedServer:
    """A server of a few lines: what it does with each connection is the test's to say."""

    def __init__(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
    ) -> None:
        self._serve = serve
        self.accepted = 0
        self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self.open += 1
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await self._serve(reader, writer)
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect without any protocol."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
