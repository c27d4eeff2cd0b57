"""The edge as a whole: what it listens on, whom it lets in, and how it starts and stops."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry
from websockets.http11 import Request

from pogo.bus import Bus
from pogo.bus.connection import describe
from pogo.cluster import EDGE, TIMING, Membership, Timing
from pogo.edge.answers import Answers
from pogo.edge.apps import Apps, EdgeApp
from pogo.edge.auth_client import GrpcAuthService
from pogo.edge.authorizer import Authorizer, AuthService
from pogo.edge.closing import close_all
from pogo.edge.connection import Connection, Services
from pogo.edge.handshake import Handshake, HandshakeContext, peer_address
from pogo.edge.health import Health
from pogo.edge.hub import Hub
from pogo.edge.limits import connection_limits, protocol_limits
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.pages import Pages
from pogo.edge.remote import HandshakeRate
from pogo.edge.sweeper import Sweeper
from pogo.edge.webhooks import EdgeWebhooks
from pogo.edge.websocket import FrameReaders
from pogo.pusher.errors import CloseError, OverCapacityError
from pogo.pusher.handshake import make_socket_id, parse_target
from pogo.pusher.protocol import PusherProtocol
from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.registry import Registry, RegistryError
from pogo.serving import RemoteAddresses
from pogo.settings import App, Settings
from pogo.telemetry import get_logger
from pogo.webhooks import WebhookStore

_log = get_logger()

_BACKLOG = 4096
"""Connections that the kernel accepts ahead of the edge: a reconnect storm comes at once."""

_RESTART_WAIT = 1.0
"""Seconds before a background task that failed is started again."""

_REGISTRY_WAIT = 2.0
"""Seconds that a stopping edge waits for the registry to know that it is gone."""

_WEBHOOKS_WAIT = 2.0
"""Seconds that a stopping edge waits for the webhook store to take what it has for it."""

LINGER = 2.0
"""Seconds for which the clients of a draining edge stay present: whoever comes back elsewhere by
then has never left."""


class EdgeServer:
    """One edge. The bus and the registry are started before it, and closed after it."""

    def __init__(
        self,
        settings: Settings,
        *,
        bus: Bus,
        registry: Registry,
        metrics: CollectorRegistry,
        pages: web.Application | None = None,
        auth_service: AuthService | None = None,
        timing: Timing = TIMING,
        cache: Records | None = None,
        webhook_store: WebhookStore | None = None,
    ) -> None:
        """Serve the apps of the settings; `pages` answer what is no WebSocket.

        Client events and cache misses become webhooks through `webhook_store`, started and closed
        like the bus, but later if no app has webhooks yet. When not given, nobody is told.

        What cache channels remember is in `cache`, started and closed like the bus. When not given,
        they remember what this edge has heard since they were opened.

        `auth_service` is asked for clients without a signature, if the settings say so; when not
        given, it is the one that they name.
        """
        self._auth_service = auth_service
        self._auth_client: GrpcAuthService | None = None
        self._authorizer: Authorizer | None = None
        self._settings = settings
        self._bus = bus
        self._registry = registry
        self._cache = cache or MemoryRecords()
        self._metrics = EdgeMetrics(metrics)
        self._apps = Apps(settings.apps, settings.allowed_origins, settings.webhook_url)
        self._webhook_store = webhook_store
        self._webhooks: EdgeWebhooks | None = None
        self._health = Health()
        self._pages = Pages(self._health, pages)
        self._limits = protocol_limits(settings)
        self._membership = Membership(
            registry,
            EDGE,
            f"{socket.gethostname()}-{secrets.token_hex(4)}",
            ready=False,
            timing=timing,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._bus_timer: asyncio.TimerHandle | None = None
        self._bus_away_for_long = False
        self._closing_all: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._metrics.gauge(
            "edge_bus_connected", "1 while this edge reaches the bus.", lambda: bus.connected
        )
        self._metrics.gauge(
            "edge_registry_connected",
            "1 while this edge reaches the registry.",
            lambda: registry.connected,
        )
        self._metrics.gauge(
            "edge_cluster_settled",
            "1 while this edge sees the cluster as it is; else presence stands still.",
            lambda: self._membership.is_settled,
        )
        self._metrics.gauge(
            "cluster_edges",
            "Live edges, as this edge sees them.",
            lambda: len(self._membership.nodes.of_role(EDGE)),
        )

    @property
    def port(self) -> int:
        """The port that it listens on; before `start`, the one asked for."""
        if self._server is None:
            return self._settings.port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        settings = self._settings
        self._sweeper = Sweeper(loop)
        self._authorizer = self._make_authorizer()
        if self._webhook_store is not None:
            self._webhooks = EdgeWebhooks(self._apps.endpoints, self._webhook_store, self._metrics)
        self._hub = Hub(
            bus=self._bus,
            registry=self._registry,
            membership=self._membership,
            metrics=self._metrics,
            max_members=settings.max_presence_members,
            max_backlog=settings.max_channel_backlog,
            cache=self._cache,
            cache_ttl=settings.cache_ttl,
            webhooks=self._webhooks,
            authorizer=self._authorizer,
        )
        self._services = Services(
            loop=loop,
            owner=self._hub,
            readers=FrameReaders(settings.max_message_size),
            sweeper=self._sweeper,
            limits=connection_limits(settings),
            metrics=self._metrics,
        )
        self._context = HandshakeContext(
            acceptor=self,
            addresses=RemoteAddresses(settings.trusted_proxies),
            loop=loop,
            new_page_handler=await self._pages.start(),
            rate=HandshakeRate(settings.handshake_rate, settings.handshake_burst),
            sweeper=self._sweeper,
            timeout=settings.handshake_timeout,
            max_open=settings.max_connections,
        )
        try:
            self._server = await loop.create_server(
                lambda: Handshake(self._context), settings.host, settings.port, backlog=_BACKLOG
            )
        except OSError:
            await self._pages.stop()
            raise
        self._answers = Answers(self._bus, self._hub, self._membership.process)
        self._answers.start()
        self._sweeper.start()
        self._tasks = [
            asyncio.create_task(_keep_running("subscriptions", self._hub.run)),
            asyncio.create_task(_keep_running("registry writes", self._hub.writer.run)),
            asyncio.create_task(_keep_running("registry repairs", self._hub.writer.run_repairs)),
            asyncio.create_task(_keep_running("registry views", self._hub.follower.run)),
            asyncio.create_task(_keep_running("answers", self._answers.run)),
            asyncio.create_task(_keep_running("cache reads", self._hub.caches.run)),
        ]
        if self._webhooks is not None:
            webhooks = asyncio.create_task(_keep_running("webhooks", self._webhooks.run))
            self._tasks.append(webhooks)
        self._bus_changed(self._bus.connected, "not connected yet")
        self._bus.add_status_listener(self._bus_changed)
        self._registry_changed(self._registry.connected, "not connected yet")
        self._registry.add_status_listener(self._registry_changed)
        self._membership.start()
        _log.info("edge started", host=settings.host, port=self.port, node=self._membership.name)

    async def stop(self) -> None:
        """Drain: close all clients with 4200, spread out, and stop. Idempotent."""
        if self._server is None or self._health.draining:
            return
        self._health.draining = True
        connections = len(self._hub)
        _log.info("edge draining", connections=connections)
        # Now, so that balancers and clients turn to another edge at once.
        self._server.close()
        if self._bus_timer is not None:
            self._bus_timer.cancel()
        self._stop_closing()
        self._context.drain()
        self._hub.linger = LINGER
        try:
            async with asyncio.timeout(self._settings.shutdown_timeout):
                await close_all(
                    self._hub, self._settings.shutdown_timeout, "the server is restarting"
                )
                await self._hub.empty.wait()
        except TimeoutError:
            _log.info("edge drops connections that did not close", connections=self._hub.sockets)
        self._hub.abort()
        if self._auth_client is not None:
            await self._auth_client.close()
        await self._finish()
        _log.info("edge stopped", connections=connections)

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Serve these apps from now on, and close the connections of those that are gone."""
        self._apps.replace(apps)
        for connection in self._hub:
            connection.protocol.app = connection.app.policy
            error = self._apps.verdict(connection.app)
            if error is not None:
                connection.close(error)
        self._hub.recount()

    # What a handshake asks

    def accept(
        self, transport: asyncio.Transport, request: Request, response: bytes, early: bytes
    ) -> None:
        """Take over a socket whose handshake is valid, or refuse it in the protocol's terms."""
        error: CloseError | None = None
        try:
            app = self._admit(request)
        except CloseError as refusal:
            app, error = self._apps.nobody, refusal
        protocol = PusherProtocol(app.policy, self._limits, self._new_socket_id())
        connection = Connection(transport, self._services, app, protocol)
        self._hub.opened(connection)
        if error is not None:
            self._metrics.handshakes.labels(str(error.code)).inc()
            connection.refuse(response, error)
            return
        self._metrics.handshakes.labels("accepted").inc()
        if self._authorizer is not None:
            peer = peer_address(transport)
            self._authorizer.opened(
                connection,
                request.headers.raw_items(),
                remote=peer,
                from_trusted_proxy=self._context.addresses.trusts(peer),
            )
        connection.establish(response)
        if early:
            connection.data_received(early)

    def handshake_refused(self, reason: str) -> None:
        """Count a handshake that got an HTTP error."""
        self._metrics.handshakes.labels(reason).inc()

    def _admit(self, request: Request) -> EdgeApp:
        app = self._apps.find(parse_target(request.path))
        # Cookies decide what the client may do, so it must be known whose page it is.
        needs_origin = self._settings.subscribe_without_auth
        app.admit(request.headers.get("Origin"), needs_origin=needs_origin)
        if len(self._hub) >= self._settings.max_connections:
            raise OverCapacityError("the server has too many connections")
        if self._bus_away_for_long:
            raise OverCapacityError("the server cannot reach the bus")
        return app

    def _make_authorizer(self) -> Authorizer | None:
        settings = self._settings
        if not settings.subscribe_without_auth:
            return None
        service = self._auth_service
        if service is None:
            service = self._auth_client = GrpcAuthService(
                settings.auth_service, settings.auth_timeout
            )
        return Authorizer(
            service,
            self._metrics,
            max_concurrent=settings.max_concurrent_auth,
            max_headers=settings.max_auth_headers,
            max_waiting=settings.max_subscriptions,
        )

    def _new_socket_id(self) -> str:
        while True:
            socket_id = make_socket_id(secrets.randbits(64))
            if not self._hub.is_taken(socket_id):
                return socket_id

    # The bus and the registry

    def _registry_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - StatusListener
        """Follow the registry: without it, nobody new is present, and nobody is seen to leave."""
        self._health.registry_down = "" if connected else reason

    def _bus_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - StatusListener
        """Follow the bus: without it, clients are deaf, and are told so after a while."""
        self._health.bus_down = "" if connected else reason
        if self._bus_timer is not None:
            self._bus_timer.cancel()
            self._bus_timer = None
        if not connected:
            self._hub.caches.forget()
        if connected:
            self._bus_away_for_long = False
            self._stop_closing()
        elif not self._health.draining:
            loop = asyncio.get_running_loop()
            self._bus_timer = loop.call_later(self._settings.bus_grace, self._bus_stays_away)

    def _bus_stays_away(self) -> None:
        self._bus_away_for_long = True
        _log.error("edge closes its clients: the bus stays away", connections=len(self._hub))
        self._closing_all = asyncio.create_task(
            close_all(self._hub, self._settings.shutdown_timeout, "the server lost its bus")
        )
        self._closing_all.add_done_callback(_report_failure)

    def _stop_closing(self) -> None:
        """Spare the clients that have not been closed yet for want of a bus."""
        closing, self._closing_all = self._closing_all, None
        if closing is not None:
            closing.cancel()

    # Stopping

    async def _finish(self) -> None:
        """Withdraw from the cluster, and end what runs."""
        try:
            async with asyncio.timeout(LINGER + _REGISTRY_WAIT):
                await self._hub.withdrawn()
                await self._membership.leave()
        except (TimeoutError, RegistryError) as error:
            # Whoever sees that it stands still declares it dead.
            _log.warning("edge could not withdraw from the registry", reason=describe(error))
        if self._webhooks is not None:
            await self._webhooks.flush(_WEBHOOKS_WAIT)
        self._answers.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._webhooks is not None:
            self._webhooks.abandon()
        self._sweeper.stop()
        await self._pages.stop()


def _report_failure(task: asyncio.Task[None]) -> None:
    """See to it that a background task does not fail unseen."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("edge could not close its clients", exc_info=error)


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a background task for as long as the edge lives, whatever happens to it."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001 - the safety net of a task the edge cannot do without
            _log.exception("edge task failed and starts again", task=name)
        await asyncio.sleep(_RESTART_WAIT)
