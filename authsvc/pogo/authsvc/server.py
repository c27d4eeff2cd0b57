"""The auth service as a process of its own: what it listens on, and how it starts and stops."""

import logging
from collections.abc import Iterable
from typing import Any

import grpc
from aiohttp import web
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from pogo.authsvc.auth import Auth
from pogo.authsvc.grpc_service import GrpcService
from pogo.rpc.v1 import auth_pb2, auth_pb2_grpc
from pogo.serving import HttpSite, client_fault_filter, listen_grpc, quiet_callers_faults
from pogo.settings import App, Settings
from pogo.telemetry import get_logger
from pogo.tls import ServerTls

SERVICE: str = auth_pb2.DESCRIPTOR.services_by_name["Auth"].full_name

MAX_REQUEST = 256 * 1024
"""Bytes of one request of an edge: headers, mostly, of which an edge keeps a few kilobytes."""

_KEEP_ALIVE = 75.0
"""Seconds for which an idle connection of a client, or a proxy, is kept. Within them the head of a
request has to be there."""

_MIN_PING_INTERVAL = 5
"""Seconds between two HTTP/2 pings of an edge; one that sends more is closed."""

_log = get_logger()
_LOGGER = logging.getLogger("pogo.authsvc.http")
_LOGGER.addFilter(client_fault_filter)


class AuthServer:
    """Listens for browsers by HTTP, and for edges by gRPC.

    Args:
        settings: Say where, and how.
        metrics: Where it counts.
        tls: What the port for browsers shows, if it speaks TLS.
        grpc_tls: The same for edges.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: CollectorRegistry,
        tls: ServerTls | None = None,
        grpc_tls: ServerTls | None = None,
    ) -> None:
        self._tls = tls
        self._grpc_tls = grpc_tls
        self._settings = settings
        self._auth = Auth(settings, metrics)
        self._runner: web.AppRunner | None = None
        self._grpc: grpc.aio.Server | None = None
        self._health: Any = health.aio.HealthServicer()
        self.port = settings.port
        """The port that HTTP listens on; before `start`, the one asked for."""
        self.grpc_port = settings.grpc_port
        """The port that gRPC listens on; before `start`, the one asked for."""

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Sign for these apps from now on."""
        self._auth.replace_apps(apps)

    async def start_http(self) -> None:
        """Begin to listen for browsers.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        application = web.Application()
        application.router.add_get("/up", self._up)
        application.router.add_get("/pogo/health", self._up)
        self._auth.add_routes(application)
        application.on_response_prepare.append(_sign_as_pogo)
        runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            logger=_LOGGER,
            shutdown_timeout=self._settings.auth_timeout,
            # Whose client has gone does not wait for the worker any more.
            handler_cancellation=True,
            keepalive_timeout=_KEEP_ALIVE,
            # A few bytes could become any number.
            auto_decompress=False,
        )
        await runner.setup()
        try:
            await HttpSite(
                runner,
                self._settings.host,
                self.port,
                tls=self._tls,
                handshake_timeout=self._settings.handshake_timeout,
            ).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def start_grpc(self) -> None:
        """Begin to listen for edges.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        quiet_callers_faults()
        server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MAX_REQUEST),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", _MIN_PING_INTERVAL * 1000),
                ("grpc.keepalive_permit_without_calls", 1),
                (
                    "grpc.server_handshake_timeout_ms",
                    round(self._settings.handshake_timeout * 1000),
                ),
            )
        )
        auth_pb2_grpc.add_AuthServicer_to_server(GrpcService(self._auth.for_edges), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        self.grpc_port = listen_grpc(server, self._settings.host, self.grpc_port, self._grpc_tls)
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await server.start()
        self._grpc = server
        _log.info("auth service started", port=self.port, grpc_port=self.grpc_port)

    async def stop_http(self) -> None:
        """Let requests of browsers finish, and stop listening for them. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            await self._auth.close()
            _log.info("auth service stopped")

    async def stop_grpc(self) -> None:
        """Let requests of edges finish, and stop listening for them. Idempotent."""
        server, self._grpc = self._grpc, None
        if server is not None:
            # So that edges turn to another auth service before this one is gone.
            await self._health.enter_graceful_shutdown()
            await server.stop(self._settings.auth_timeout)

    async def _up(self, request: web.Request) -> web.Response:
        # Healthy also while the worker is away: another auth service would not reach it either.
        del request
        return web.json_response({"status": "ok", "circuit": self._auth.circuit.value})


async def _sign_as_pogo(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers["Server"] = "Pogo"
