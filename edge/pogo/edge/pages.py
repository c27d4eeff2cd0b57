"""Everything on the edge's port that is not a WebSocket, answered by aiohttp.

Its answers carry `Connection: close`: a proxy that kept such a connection in its pool could send a
client's handshake on it, which aiohttp would not know.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler

from pogo.edge.health import Health
from pogo.serving import client_fault_filter

_CLEANUP_TIMEOUT = 1.0
"""Seconds that requests have to finish when the edge stops."""

_PAGE_TIMEOUT = 30.0
"""Seconds that a request may take, most of which are its client's for sending a body."""

_LOGGER = logging.getLogger("pogo.edge.pages")
_LOGGER.addFilter(client_fault_filter)


class Pages:
    """`/up`, `/pogo/health`, and the pages that somebody else brought."""

    def __init__(self, health: Health, application: web.Application | None) -> None:
        self._health = health
        self._application = application or _pages_of_an_edge_alone()
        self._application.router.add_get("/up", self._up)
        self._application.router.add_get("/pogo/health", self._up)
        self._application.on_response_prepare.append(_close_after_answer)
        self._application.middlewares.append(_bounded)
        self._runner = web.AppRunner(
            self._application,
            access_log=None,
            handle_signals=False,
            logger=_LOGGER,
            shutdown_timeout=_CLEANUP_TIMEOUT,
        )

    async def start(self) -> Callable[[], asyncio.Protocol]:
        """Set the application up; returns what makes the protocol of one connection."""
        await self._runner.setup()
        return cast(Callable[[], asyncio.Protocol], self._runner.server)

    async def stop(self) -> None:
        """Let requests finish, and clean the application up."""
        await self._runner.cleanup()

    async def _up(self, request: web.Request) -> web.Response:
        del request
        reason = self._health.reason
        if reason:
            return web.json_response({"status": "unavailable", "reason": reason}, status=503)
        return web.json_response({"status": "ok"})


def _pages_of_an_edge_alone() -> web.Application:
    """Make the pages of `pogo edge`: whoever takes it for a broker is told."""
    application = web.Application()
    for path in ("/apps/{rest:.*}", "/users/{rest:.*}"):
        application.router.add_route("*", path, _ask_a_broker)
    return application


async def _ask_a_broker(request: web.Request) -> web.Response:
    del request
    reason = "this is an edge: the HTTP API is answered by brokers, on their `port`"
    return web.json_response({"error": reason}, status=404)


@web.middleware
async def _bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(_PAGE_TIMEOUT):
            return await handler(request)
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(text="the request's body cannot be read\n") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the request took too long\n") from None


async def _close_after_answer(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers["Connection"] = "close"
    response.headers["Server"] = "Pogo"
    response.force_close()
