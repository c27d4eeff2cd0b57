"""A server where the HTTP API of Pusher would be, which answers whatever a test wants.

It remembers what it was asked; nobody is told of the events, and nobody's signature is verified.
"""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.servers import HOST


@dataclass
class PusherApi:
    """The two end points that take events."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    """What the next requests are answered, as status and text, instead of success."""
    losses: int = 0
    """How many answers are lost from now on: the connection is closed instead."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The JSON bodies that came."""
    ids: list[str] = field(default_factory=list)
    """Their idempotency keys."""
    port: int = 0

    @property
    def url(self) -> str:
        """Where `/apps/{id}` begins."""
        return f"http://{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/apps/{id}/events", self._events)
        application.router.add_post("/apps/{id}/batch_events", self._events)
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
        self.requests.append(await request.json())
        self.ids.append(request.headers["X-Idempotency-Key"])
        if self.losses:
            self.losses -= 1
            request.transport.close()
        status, text = self.answers.pop(0) if self.answers else (200, "{}")
        return web.Response(status=status, text=text)
