"""A back end that asks the HTTP API, and signs as Pusher's reference says, by other code."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import aiohttp
from multidict import CIMultiDictProxy
from pydantic import SecretStr
from yarl import URL

from pogo.broker.http import HttpServer
from pogo.bus import Bus
from pogo.records import Records
from pogo.registry import Registry
from pogo.settings import App, Settings
from pogo.tls import ServerTls
from tests.broker.helpers import APP, RunningBroker, make_settings, running_broker
from tests.edge.helpers import KEY, SECRET
from tests.servers import HOST

EDGE_APP = App(id=APP.id, key=KEY, secret=SecretStr(SECRET))
"""The app whose clients `tests.edge.helpers.Client` are."""

EVENTS = f"/apps/{APP.id}/events"
BATCH = f"/apps/{APP.id}/batch_events"
CHANNELS = f"/apps/{APP.id}/channels"

BODY = b'{"name":"headline","channels":["news"],"data":"{}"}'
"""What `POST /apps/{id}/events` takes."""


def trigger(**changes: object) -> dict[str, object]:
    """Write an event; a change of `None` leaves a field out."""
    fields = {"name": "headline", "channels": ["news"], "data": '{"a":1}', **changes}
    return {name: value for name, value in fields.items() if value is not None}


def item(**changes: object) -> dict[str, object]:
    """Write an event of a batch."""
    return trigger(channels=None, channel="news") | changes


def sign(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    app: App = APP,
    secret: str = "",
    query: Mapping[str, str] | None = None,
    **auth: str | None,
) -> str:
    """Write the signed query of a request; what is in `auth` is sent instead, or left out."""
    claims: dict[str, str | None] = {
        "auth_key": app.key,
        "auth_timestamp": str(int(time.time())),
        "auth_version": "1.0",
    }
    if body:
        claims["body_md5"] = hashlib.md5(body, usedforsecurity=False).hexdigest()
    claims |= {name: value for name, value in auth.items() if name != "auth_signature"}
    sent = {name: value for name, value in claims.items() if value is not None} | dict(query or {})
    text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    key = secret or app.secret.get_secret_value()
    signature = hmac.new(key.encode(), f"{method}\n{path}\n{text}".encode(), hashlib.sha256)
    given = auth.get("auth_signature", signature.hexdigest())
    return text if given is None else f"{text}&auth_signature={given}"


@dataclass(frozen=True)
class Reply:
    """What the API answered."""

    status: int
    body: Any
    """Decoded."""
    headers: CIMultiDictProxy[str]

    @property
    def error(self) -> tuple[int, str]:
        """The status, and the sentence beside it."""
        return self.status, self.body["error"]


class Backend:
    """Asks an API, over connections that it keeps."""

    def __init__(self, url: str, session: aiohttp.ClientSession, app: App) -> None:
        self.url = url
        self._session = session
        self._app = app

    async def post(self, path: str, content: object, **options: Any) -> Reply:
        """Send a body: JSON, or bytes as they are."""
        return await self.request("POST", path, content, **options)

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: Any) -> Reply:
        """Ask a question."""
        return await self.request("GET", path, query=query, **options)

    async def request(
        self,
        method: str,
        path: str,
        content: object = b"",
        *,
        headers: Mapping[str, str] | None = None,
        signed_path: str | None = None,
        **auth: Any,
    ) -> Reply:
        """Send a request, signed for its path or another one."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        auth = {"app": self._app, **auth}
        query = sign(method, unquote(path) if signed_path is None else signed_path, body, **auth)
        return await self.send(method, f"{path}?{query}", body, headers)

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request as it is."""
        url = URL(self.url + target, encoded=True)
        async with self._session.request(method, url, data=body, headers=headers) as response:
            text = await response.text()
            # Nothing is read from what answers HEAD.
            decoded = json.loads(text) if text else None
            return Reply(response.status, decoded, response.headers)


@dataclass(frozen=True)
class Api:
    """A broker with an HTTP API, and a back end that asks it."""

    broker: RunningBroker
    server: HttpServer
    backend: Backend


@contextlib.asynccontextmanager
async def running_api(
    bus: Bus,
    *,
    registry: Registry | None = None,
    records: Records | None = None,
    tls: ServerTls | None = None,
    **changes: object,
) -> AsyncIterator[Api]:
    """Run a broker on a bus that is started; without a registry, one edge lives and is silent."""
    settings: Settings = make_settings(port=0, **changes)
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(
            running_broker(bus, settings, registry=registry, records=records)
        )
        server = HttpServer(
            settings, broker.server.http_api, lambda: broker.server.unavailable, tls
        )
        await server.start()
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        backend = Backend(f"http://{HOST}:{server.port}", session, settings.apps[0])
        yield Api(broker, server, backend)


class Raw:
    """One connection, written and read byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def head(self, *lines: str, body: bytes = BODY, query: str = "", path: str = EVENTS) -> None:
        """Send the head of a request that is signed for a body."""
        first = f"POST {path}?{query or sign('POST', path, body)} HTTP/1.1"
        text = "\r\n".join([first, "Host: test", *lines])
        self.writer.write(f"{text}\r\n\r\n".encode())

    async def answer(self) -> tuple[int, bytes]:
        """Read an answer: its status and its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length: "):
                size = int(line[16:])
        return int(head.split(b" ", 2)[1]), await self.reader.readexactly(size)


@contextlib.asynccontextmanager
async def connect(api: Api) -> AsyncIterator[Raw]:
    """Connect to an API."""
    reader, writer = await asyncio.open_connection(HOST, api.server.port)
    try:
        async with asyncio.timeout(20):
            yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def held(api: Api) -> int:
    """Tell how many bytes of bodies are held."""
    return api.broker.server.http_api._bodies._held  # noqa: SLF001 (nobody else tells)
