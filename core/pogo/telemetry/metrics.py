"""The page that Prometheus reads."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.exposition import choose_encoder

SHUTDOWN_TIMEOUT = 1.0
"""Seconds that a scrape has to finish when the server stops."""


def metrics_page(registry: CollectorRegistry) -> bytes:
    """Return what a scrape reads, in the text format of Prometheus."""
    _leave_out_times_of_creation()
    return generate_latest(registry)


class MetricsServer:
    """Serves `GET /metrics` from the running event loop.

    Apart from the public port, because metrics are not for the public. `refresh` is awaited before
    each scrape, for what cannot be read from the registry at once.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        host: str,
        port: int,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        _leave_out_times_of_creation()
        self._registry = registry
        self._refresh = refresh
        self._host = host
        self._requested_port = port
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port it listens on; before `start`, the one asked for."""
        if self._runner is None or not self._runner.addresses:
            return self._requested_port
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._requested_port)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._refresh is not None:
            await self._refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _leave_out_times_of_creation() -> None:
    # A second series for each counter is of no use to anybody here.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has no types here
