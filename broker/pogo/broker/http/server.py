"""The port of a broker that runs apart: the HTTP API, and whether the broker is well."""

import logging
from collections.abc import Callable

from aiohttp import web

from pogo.broker.http.answers import respond, tell
from pogo.broker.http.api import HttpApi
from pogo.serving import HttpSite, client_fault_filter
from pogo.settings import Settings
from pogo.telemetry import get_logger
from pogo.tls import ServerTls

KEEP_ALIVE = 75.0
"""Seconds for which an idle connection is kept. Within them the head of a request has to be there,
and they are longer than the 60 of most proxies, which should be the ones to close."""

LINGERING = 2.0
"""Seconds that the rest of a refused body is read and thrown away: a client that is cut off while
it sends may not see its answer. Stopping waits for it, too."""

BACKLOG = 1024
"""Connections that the kernel accepts ahead of the broker."""

_HEALTH = ("/up", "/pogo/health")

_log = get_logger()
_LOGGER = logging.getLogger("pogo.broker.http")
_LOGGER.addFilter(client_fault_filter)


class HttpServer:
    """Listens for back ends by HTTP.

    Args:
        settings: Say where.
        api: Answers them.
        reason: Tells why the broker does not serve; empty while it does.
        tls: What the port shows, which then speaks nothing else.
    """

    def __init__(
        self,
        settings: Settings,
        api: HttpApi,
        reason: Callable[[], str],
        tls: ServerTls | None = None,
    ) -> None:
        self._tls = tls
        self._settings = settings
        self._api = api
        self._reason = reason
        self._runner: web.ServerRunner | None = None
        self.port = settings.port
        """The port that it listens on; before `start`, the one asked for."""

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        # Without aiohttp's router, which would cost time: the API knows its paths.
        server = web.Server(
            self._handle,
            access_log=None,
            logger=_LOGGER,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGERING,
            # A few bytes could become any number.
            auto_decompress=False,
        )
        runner = web.ServerRunner(
            server, handle_signals=False, shutdown_timeout=self._settings.shutdown_timeout
        )
        await runner.setup()
        try:
            await HttpSite(
                runner,
                self._settings.host,
                self.port,
                tls=self._tls,
                handshake_timeout=self._settings.handshake_timeout,
                backlog=BACKLOG,
            ).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = int(runner.addresses[0][1])
        _log.info("http api started", host=self._settings.host, port=self.port)

    async def stop(self) -> None:
        """Answer the requests there are, and stop listening. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in tuple(runner.sites):
            await site.stop()
        # From its cleanup on, aiohttp takes no byte more.
        await self._api.finish_bodies()
        await runner.cleanup()
        _log.info("http api stopped")

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method in ("GET", "HEAD") and request.raw_path.partition("?")[0] in _HEALTH:
            reason = self._reason()
            status = {"status": "unavailable", "reason": reason} if reason else {"status": "ok"}
            return respond(tell(status), 503 if reason else 200)
        response = await self._api.handle(request)
        if self._runner is None:
            # It stops: the client should send its next request elsewhere.
            response.force_close()
        return response
