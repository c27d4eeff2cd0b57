"""The edge as a whole: which parts it is made of, and how they start and stop together."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry

from pogo.bus import Bus
from pogo.bus.connection import describe
from pogo.cluster import EDGE, TIMING, Membership, Timing
from pogo.edge.admission import Admission
from pogo.edge.answers import Answers
from pogo.edge.apps import Apps
from pogo.edge.auth_client import GrpcAuthService
from pogo.edge.authorizer import Authorizer, AuthService
from pogo.edge.closing import close_all
from pogo.edge.connection import Services
from pogo.edge.gauges import add_cluster_gauges, add_hub_gauges
from pogo.edge.handshake import Handshake, HandshakeContext
from pogo.edge.health import Health
from pogo.edge.hub import Hub
from pogo.edge.limits import connection_limits
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.outages import Outages
from pogo.edge.pages import Pages
from pogo.edge.remote import HandshakeRate
from pogo.edge.sweeper import Sweeper
from pogo.edge.tasks import Tasks
from pogo.edge.webhooks import EdgeWebhooks
from pogo.edge.websocket import FrameReaders
from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.registry import Registry, RegistryError
from pogo.serving import RemoteAddresses, tls_options
from pogo.settings import App, Settings
from pogo.telemetry import get_logger
from pogo.tls import ClientTls, ServerTls
from pogo.webhooks import WebhookStore

_log = get_logger()

_BACKLOG = 4096
"""Connections that the kernel accepts ahead of the edge: a reconnect storm comes at once."""

_REGISTRY_WAIT = 2.0
"""Seconds that a stopping edge waits for the registry to know that it is gone."""

_WEBHOOKS_WAIT = 2.0
"""Seconds that a stopping edge waits for the webhook store to take what it has for it."""

_HANDSHAKES_WAIT = 1.0
"""Seconds that clients have, when the edge stops, to finish the handshakes that they have begun."""

_HANDSHAKES_SHARE = 0.2
"""The most of the time for stopping that this may take."""

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
        sockets: Sequence[socket.socket] = (),
        tls: ServerTls | None = None,
    ) -> None:
        """Serve the apps of the settings; `pages` answer what is no WebSocket.

        It listens on `sockets`, which are bound already and which it closes; when not given, where
        the settings say. With `tls` the port speaks it and nothing else.

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
        self._membership = Membership(
            registry,
            EDGE,
            f"{socket.gethostname()}-{secrets.token_hex(4)}",
            ready=False,
            timing=timing,
        )
        self._tasks = Tasks()
        self._sockets = sockets
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        add_cluster_gauges(self._metrics, bus=bus, registry=registry, membership=self._membership)

    @property
    def port(self) -> int:
        """The port that it listens on; before `start`, the one asked for."""
        if not self._servers:
            return self._settings.port
        return int(self._servers[0].sockets[0].getsockname()[1])

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
        add_hub_gauges(self._metrics, self._hub)
        self._outages = Outages(
            self._hub,
            self._health,
            bus_grace=settings.bus_grace,
            closing_time=settings.shutdown_timeout,
        )
        self._context = self._make_context(loop, await self._pages.start())
        try:
            self._servers = await self._listen(loop)
        except OSError:
            await self._pages.stop()
            raise
        self._answers = Answers(self._bus, self._hub, self._membership.process)
        self._answers.start()
        self._sweeper.start()
        self._start_tasks()
        self._outages.start(self._bus, self._registry)
        self._membership.start()
        _log.info("edge started", host=settings.host, port=self.port, node=self._membership.name)

    async def stop(self) -> None:
        """Drain: close all clients with 4200, spread out, and stop. Idempotent."""
        if not self._servers or self._health.draining:
            return
        self._health.draining = True
        connections = len(self._hub)
        _log.info("edge draining", connections=connections)
        # Now, so that balancers and clients turn to another edge at once.
        for server in self._servers:
            server.close()
        self._outages.drain()
        self._hub.linger = LINGER
        timeout = self._settings.shutdown_timeout
        try:
            async with asyncio.timeout(timeout):
                await self._context.drain(min(_HANDSHAKES_WAIT, timeout * _HANDSHAKES_SHARE))
                await close_all(self._hub, timeout, "the server is restarting")
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

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Server]:
        """Begin to take connections.

        Raises:
            OSError: The address cannot be listened on.
        """

        def handshake() -> Handshake:
            return Handshake(self._context)

        host, port = self._settings.host, self._settings.port
        options = {
            "backlog": _BACKLOG,
            **tls_options(self._tls, self._settings.handshake_timeout),
        }
        if not self._sockets:
            return [await loop.create_server(handshake, host, port, **options)]
        return [await loop.create_server(handshake, sock=sock, **options) for sock in self._sockets]

    def _make_authorizer(self) -> Authorizer | None:
        settings = self._settings
        if not settings.subscribe_without_auth:
            return None
        service = self._auth_service
        if service is None:
            service = self._auth_client = GrpcAuthService(
                settings.auth_service, settings.auth_timeout, _tls_to_auth_service(settings)
            )
        return Authorizer(
            service,
            self._metrics,
            max_concurrent=settings.max_concurrent_auth,
            max_headers=settings.max_auth_headers,
            max_waiting=settings.max_subscriptions,
        )

    def _make_context(
        self, loop: asyncio.AbstractEventLoop, new_page_handler: Callable[[], asyncio.Protocol]
    ) -> HandshakeContext:
        """Put together what a socket needs until it is a connection, and after that."""
        settings = self._settings
        addresses = RemoteAddresses(settings.trusted_proxies)
        admission = Admission(
            settings,
            apps=self._apps,
            hub=self._hub,
            services=Services(
                loop=loop,
                owner=self._hub,
                readers=FrameReaders(settings.max_message_size),
                sweeper=self._sweeper,
                limits=connection_limits(settings),
                metrics=self._metrics,
            ),
            addresses=addresses,
            authorizer=self._authorizer,
            outages=self._outages,
        )
        return HandshakeContext(
            acceptor=admission,
            addresses=addresses,
            loop=loop,
            new_page_handler=new_page_handler,
            rate=HandshakeRate(settings.handshake_rate, settings.handshake_burst),
            sweeper=self._sweeper,
            timeout=settings.handshake_timeout,
            max_open=settings.max_connections,
            tls=None if self._tls is None else self._tls.handshakes,
        )

    def _start_tasks(self) -> None:
        hub = self._hub
        self._tasks.start("subscriptions", hub.subscriptions.run)
        self._tasks.start("registry writes", hub.writer.run)
        self._tasks.start("registry repairs", hub.writer.run_repairs)
        self._tasks.start("registry views", hub.follower.run)
        self._tasks.start("answers", self._answers.run)
        self._tasks.start("cache reads", hub.caches.run)
        if self._webhooks is not None:
            self._tasks.start("webhooks", self._webhooks.run)

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
        await self._tasks.stop()
        if self._webhooks is not None:
            self._webhooks.abandon()
        self._sweeper.stop()
        await self._pages.stop()


def _tls_to_auth_service(settings: Settings) -> ClientTls | None:
    if not settings.auth_service_tls:
        return None
    return ClientTls(
        settings.auth_service_tls_ca,
        settings.auth_service_tls_cert,
        settings.auth_service_tls_key,
    )
