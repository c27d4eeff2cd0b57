"""The broker: everything that one broker process, or `pogo serve`, runs for publishers."""

import asyncio
import secrets
import socket
from collections.abc import Iterable

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from pogo.broker.apps import AppDirectory
from pogo.broker.attempts import Attempts
from pogo.broker.auth import Authenticator
from pogo.broker.cache import CachedEvents
from pogo.broker.grpc_service import BrokerService
from pogo.broker.health import SERVICE, Health
from pogo.broker.http import HttpApi
from pogo.broker.live_edges import LiveEdges
from pogo.broker.message_ids import LIFETIMES, Lifetimes
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.rates import AppRates
from pogo.broker.repeats import Repeats
from pogo.broker.webhooks import Webhooks
from pogo.bus import Bus
from pogo.bus.connection import describe
from pogo.cluster import (
    BROKER,
    TIMING,
    ClusterQueries,
    Edges,
    Listener,
    LiveNodes,
    Membership,
    Timing,
)
from pogo.records import Records
from pogo.records.memory import MemoryRecords
from pogo.registry import Registry, RegistryError
from pogo.rpc.v1 import broker_pb2_grpc
from pogo.serving import listen_grpc, quiet_callers_faults
from pogo.settings import App, Settings
from pogo.telemetry import get_logger
from pogo.tls import ServerTls
from pogo.webhooks import WebhookStore

MIN_REQUEST = 4 * 1024 * 1024
"""Bytes of one request that are always taken: gRPC's own default."""

REQUEST_FACTOR = 16
"""How far over `max_payload` an event's data may be and still be answered with status 4. What is
larger is refused by gRPC while it arrives, with RESOURCE_EXHAUSTED, and never held in memory."""

MAX_CONCURRENT_CALLS = 1000
"""Calls of one connection at a time; a client's gRPC library holds further ones back. HTTP/2 asks
for no fewer than 100."""

MIN_PING_INTERVAL = 10
"""Seconds between the keep-alive pings of a client. gRPC's default, five minutes, would have it
cut off those that want to notice a dead broker sooner."""

REGISTRY_WAIT = 1.0
"""Seconds that a stopping broker waits for the registry to know that it is gone."""

RECORDS_WAIT = 1.0
"""Seconds that a stopping broker waits for the records to know what became of message ids."""

REPLY_GRACE = 0.5
"""Seconds that the last replies have to leave, once every event is answered."""

log = get_logger()


class BrokerServer(Listener):
    """Listens for publishers by gRPC, and publishes on the bus.

    Those that come by HTTP reach `http_api` through a server of the caller's. The bus, the registry
    and the records are the caller's too: started before `start`, closed after `stop`. So is what
    cache channels remember, `cache`; when not given, it is the broker's own. Webhooks are looked
    after if there is a `webhook_store`, which is the caller's and may be started later, too. With
    `tls`, gRPC speaks it and nothing else.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        bus: Bus,
        registry: Registry,
        records: Records,
        metrics: CollectorRegistry,
        timing: Timing = TIMING,
        lifetimes: Lifetimes = LIFETIMES,
        cache: Records | None = None,
        webhook_store: WebhookStore | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._bus = bus
        self._apps = AppDirectory(settings.apps)
        self._registry = registry
        process = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._membership = Membership(registry, BROKER, process, ready=True, timing=timing)
        self._live_edges = LiveEdges(self._membership)
        self._health = Health()
        self._draining = False
        self._grpc: grpc.aio.Server | None = None
        self.grpc_port = settings.grpc_port
        """The port that gRPC listens on; before `start`, the one asked for."""
        counts = BrokerMetrics(metrics)
        counts.watch_servers(bus=lambda: bus.connected, registry=lambda: registry.connected)
        cache = cache or MemoryRecords(settings.cache_bytes)
        self.cached_events = CachedEvents(cache)
        self.publisher = Publisher(
            settings,
            apps=self._apps,
            bus=bus,
            live_edges=self._live_edges,
            metrics=counts,
            cache=cache,
        )
        self.rates = AppRates(LiveNodes(self._membership, BROKER), counts)
        self._attempts = Attempts(records, self.publisher, counts, lifetimes)
        self.repeats = Repeats(self._attempts, counts, settings.message_id_wait)
        self._edges = Edges(bus, self._membership)
        self.http_api = HttpApi(
            settings,
            apps=self._apps,
            publisher=self.publisher,
            repeats=self.repeats,
            queries=ClusterQueries(self._edges),
            cached_events=self.cached_events,
            rates=self.rates,
            metrics=metrics,
        )
        self._webhooks: Webhooks | None = None
        if webhook_store is not None:
            self._webhooks = Webhooks(
                settings,
                store=webhook_store,
                registry=registry,
                membership=self._membership,
                metrics=metrics,
            )

    @property
    def sees_cluster(self) -> bool:
        """Whether it has seen the nodes of the cluster."""
        return self._membership.known

    @property
    def unavailable(self) -> str:
        """Why it does not serve; empty while it does."""
        if self._draining:
            return "the broker is shutting down"
        if not self._bus.connected:
            return "the bus is away"
        return "" if self.sees_cluster else "the nodes of the cluster have not been seen yet"

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Publish for these apps from now on; tokens are verified against them anew."""
        apps = tuple(apps)
        self._apps.replace(apps)
        self.rates.keep(apps)
        if self._webhooks is not None:
            self._webhooks.replace_apps(apps)

    async def start(self) -> None:
        """Begin to listen and to publish.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        quiet_callers_faults()
        server = self._make_server()
        host = self._settings.host
        self.grpc_port = listen_grpc(server, host, self.grpc_port, self._tls)
        self.publisher.start()
        self._edges.start()
        self._bus.add_status_listener(self._bus_changed)
        self._membership.add_listener(self)
        if self._webhooks is not None:
            self._webhooks.start()
        self._membership.start()
        self._health.serving = self._can_serve
        await self._health.start()
        await server.start()
        self._grpc = server
        log.info("broker started", host=host, grpc_port=self.grpc_port)

    async def stop(self) -> None:
        """Refuse new calls, answer those there are, and stop. Idempotent.

        Takes `shutdown_timeout` at the most; what the bus has not confirmed by then is failed.
        """
        server, self._grpc = self._grpc, None
        if server is None:
            return
        self._draining = True
        self._health.serving = False
        timeout = self._settings.shutdown_timeout
        refusing = asyncio.create_task(server.stop(timeout))
        # What has a message id comes to the publisher only once that is recorded.
        await asyncio.gather(
            self.publisher.drain(timeout),
            self._attempts.drain(timeout),
            self._stop_webhooks(timeout),
        )
        # Watching the health ends only with the server, so it would take the whole time.
        await server.stop(REPLY_GRACE)
        await refusing
        await self.publisher.stop()
        self._edges.stop()
        await self._attempts.stop(RECORDS_WAIT)
        await self._health.stop()
        try:
            async with asyncio.timeout(REGISTRY_WAIT):
                await self._membership.leave()
        except (TimeoutError, RegistryError) as error:
            # Whoever sees that it stands still declares it dead.
            log.warning("broker could not withdraw from the registry", reason=describe(error))
        log.info("broker stopped")

    async def _stop_webhooks(self, timeout: float) -> None:  # noqa: ASYNC109 (running out is no error)
        """Let another broker look after webhooks, once requests have ended that are under way."""
        if self._webhooks is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._webhooks.stop()
        except TimeoutError:
            log.warning("requests of webhooks are cut off; they will be sent again")

    def _make_server(self) -> grpc.aio.Server:
        settings = self._settings
        max_request = max(MIN_REQUEST, REQUEST_FACTOR * settings.max_payload)
        server = grpc.aio.server(
            options=(
                # Without it a second broker would quietly share the port of the first.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", max_request),
                ("grpc.max_concurrent_streams", MAX_CONCURRENT_CALLS),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", MIN_PING_INTERVAL * 1000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.server_handshake_timeout_ms", round(settings.handshake_timeout * 1000)),
            )
        )
        service = BrokerService(
            self.publisher,
            self.repeats,
            apps=self._apps,
            authenticator=Authenticator(self._apps),
            rates=self.rates,
            max_batch=settings.max_batch,
            max_channels=settings.max_channels,
        )
        broker_pb2_grpc.add_BrokerServicer_to_server(service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bus_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 (the bus's signature)
        if self._draining:
            return
        self._health.serving = self._can_serve
        if connected:
            log.info("broker is serving")
        else:
            log.warning("broker is not serving: the bus is away", reason=reason)

    @property
    def _can_serve(self) -> bool:
        """Whether events can be published, and it is known to whom: in doubt there are edges."""
        return self._bus.connected and self.sees_cluster

    # What the membership tells

    def settled(self) -> None:
        """Serve, now that the nodes of the cluster have been seen."""
        if not self._draining:
            self._health.serving = self._can_serve
