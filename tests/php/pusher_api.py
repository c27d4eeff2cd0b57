"""A stand-in for the HTTP API of a Pusher-compatible server.

It takes events, verifies signatures as Pusher's reference prescribes, and remembers what it was
asked; nobody is told of the events. What it answers otherwise is up to the test.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web

from pogo.settings import App
from tests.servers import HOST

_MAX_AGE = 600
_MAX_BATCH = 10


class RefusedError(Exception):
    """A request that is not signed by the app."""


@dataclass
class PusherApi:
    """The two end points that take events of one app, below a prefix that a proxy would remove."""

    app: App
    prefix: str = ""
    answers: list[tuple[int, str]] = field(default_factory=list)
    """What the next requests are answered, as status and text, instead of success."""
    losses: int = 0
    """How many answers are lost from now on: the connection is closed instead."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The JSON bodies that came."""
    ids: list[str] = field(default_factory=list)
    """Their idempotency keys."""
    connections: set[int] = field(default_factory=set)
    """The clients' ports, one for each connection."""
    port: int = 0

    @property
    def url(self) -> str:
        """Where `/apps/{id}` begins."""
        return f"http://{HOST}:{self.port}{self.prefix}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post(f"{self.prefix}/apps/{{id}}/events", self._events)
        application.router.add_post(f"{self.prefix}/apps/{{id}}/batch_events", self._events)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername")[1])
        body = await request.read()
        try:
            self._verify(request, body)
        except RefusedError as error:
            return web.Response(status=401, text=str(error))
        content = json.loads(body)
        self.requests.append(content)
        self.ids.append(request.headers["X-Idempotency-Key"])
        if len(content.get("batch", ())) > _MAX_BATCH:
            return web.Response(status=400, text="The batch has over 10 events")
        if self.losses:
            self.losses -= 1
            request.transport.close()
        status, text = self.answers.pop(0) if self.answers else (200, "{}")
        return web.Response(status=status, text=text)

    def _verify(self, request: web.Request, body: bytes) -> None:
        query: Mapping[str, str] = request.query
        path = unquote(request.path).removeprefix(self.prefix)
        pairs = sorted((name.lower(), value) for name, value in query.items())
        signed = "&".join(f"{name}={value}" for name, value in pairs if name != "auth_signature")
        expected = hmac.new(
            self.app.secret.get_secret_value().encode(),
            f"{request.method}\n{path}\n{signed}".encode(),
            hashlib.sha256,
        ).hexdigest()
        if request.match_info["id"] != self.app.id or query["auth_key"] != self.app.key:
            raise RefusedError("unknown app")
        if query["auth_version"] != "1.0":
            raise RefusedError("unknown version")
        if abs(time.time() - int(query["auth_timestamp"])) > _MAX_AGE:
            raise RefusedError("timestamp expired")
        if query["body_md5"] != hashlib.md5(body, usedforsecurity=False).hexdigest():
            raise RefusedError("body_md5 is not that of the body")
        if not hmac.compare_digest(expected, query["auth_signature"]):
            raise RefusedError("invalid signature")
