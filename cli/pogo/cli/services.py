"""`pogo serve`, `pogo edge`, `pogo broker` and `pogo authsvc`: which parts each is made of."""

from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from pogo.authsvc import Auth, AuthServer
from pogo.broker.events import Event
from pogo.broker.http import HttpServer
from pogo.broker.server import BrokerServer
from pogo.broker.status import Outcome
from pogo.cli.addresses import address
from pogo.cli.apps import reloader, with_apps
from pogo.cli.buses import open_records
from pogo.cli.configuration import load
from pogo.cli.demo import Publish, demo_pages
from pogo.cli.errors import UsageError
from pogo.cli.local import LocalServer, Ports, make_app
from pogo.cli.local_auth import LocalAuthService
from pogo.cli.runner import Node, Part, run_node
from pogo.cli.start import Flags, begin, load_for
from pogo.cli.stores import Stores
from pogo.cli.tls import NodeTls
from pogo.cli.workers import Job, ParentLink
from pogo.edge.server import EdgeServer
from pogo.settings import App, Settings
from pogo.telemetry import MetricsServer, configure_logging, get_logger, metrics_page

_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

_log = get_logger()


def run_serve(config: Path | None, flags: Flags) -> None:
    """Run an edge and a broker in one process, until a signal stops them.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = load(config, flags)
    if settings.env == "production":
        with_apps(settings)  # the demo page is not for the public
    unconfigured = not settings.apps
    if unconfigured:
        settings = settings.model_copy(update={"apps": (make_app(),)})
    if settings.subscribe_without_auth and not settings.auth_upstream:
        raise UsageError("subscribe_without_auth needs auth_upstream, the worker that is asked")
    begin(settings)
    if unconfigured and settings.host not in _LOCAL_HOSTS:
        _log.warning("anyone who reaches this machine can use the demo page", host=settings.host)
    local = LocalServer(settings, unconfigured=unconfigured, config=config)
    demo = settings.apps[0] if unconfigured else None
    run_node(lambda: _serve(settings, lambda: load(config, flags), local, demo))


def run_edge(config: Path | None, flags: Flags) -> None:
    """Run an edge, until a signal stops it.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = load_for("edge", config, flags)
    begin(settings)
    run_node(lambda: _edge(settings, lambda: load(config, flags)))


def run_edge_worker(job: Job) -> None:
    """Run an edge for a parent that has others on the same port, until it is stopped.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = load_for("edge", job.config_path, job.flags)
    configure_logging(settings.log_format, settings.log_level, worker=job.number)
    run_node(lambda: _edge_worker(settings, job))


def run_broker(config: Path | None, flags: Flags) -> None:
    """Run a broker, until a signal stops it.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = load_for("broker", config, flags)
    begin(settings)
    run_node(lambda: _broker(settings, lambda: load(config, flags)))


def run_authsvc(config: Path | None, flags: Flags) -> None:
    """Run an auth service, until a signal stops it.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = load(config, flags)
    if not settings.auth_upstream:
        raise UsageError(
            "the auth service has no worker to ask: set auth_upstream to "
            "fastcgi:///path/of/php-fpm.sock, fastcgi://host:port or http://host:port"
        )
    begin(with_apps(settings))
    run_node(lambda: _authsvc(settings, lambda: load(config, flags)))


def _serve(
    settings: Settings, read: Callable[[], Settings], local: LocalServer, demo: App | None
) -> Node:
    metrics = _metrics()
    tls = NodeTls.open(settings, metrics)
    stores, records = Stores.open(settings), open_records(settings)
    broker = stores.broker(settings, records, metrics, tls.grpc)
    pages = web.Application() if demo is None else demo_pages(demo, _publish_by(broker, demo))
    broker.http_api.add_routes(pages)
    auth = Auth(settings, metrics) if settings.auth_upstream else None
    if auth is not None:
        auth.add_routes(pages)
    edge = EdgeServer(
        settings,
        bus=stores.bus,
        registry=stores.registry,
        metrics=metrics,
        pages=pages,
        auth_service=None if auth is None else LocalAuthService(auth),
        cache=stores.cache,
        webhook_store=stores.webhooks.store,
        tls=tls.http,
    )
    page = MetricsServer(metrics, settings.metrics_host, settings.metrics_port)
    return Node(
        parts=[
            *stores.parts,
            Part(records.start, records.close),
            *([] if auth is None else [Part(_nothing, auth.close)]),
            _edge_part(edge, settings),
            _broker_part(broker, settings),
            Part(_nothing, broker.http_api.finish_bodies),
            _page_part(page, settings),
            tls.part,
        ],
        announce=lambda: local.announce(Ports(edge.port, broker.grpc_port, page.port)),
        farewell=local.farewell,
        reload=tls.reloading(
            reloader(
                settings,
                read,
                [
                    stores.webhooks.replace_apps,
                    edge.replace_apps,
                    broker.replace_apps,
                    *([] if auth is None else [auth.replace_apps]),
                ],
            )
        ),
    )


def _edge(settings: Settings, read: Callable[[], Settings]) -> Node:
    metrics = _metrics()
    tls = NodeTls.open(settings, metrics, has_grpc=False)
    stores = Stores.open(settings)
    edge = stores.edge(settings, metrics, tls.http)
    page = MetricsServer(metrics, settings.metrics_host, settings.metrics_port)
    return Node(
        parts=[
            *stores.parts,
            _edge_part(edge, settings),
            _page_part(page, settings),
            tls.part,
        ],
        announce=lambda: _log.info("ready", port=edge.port, metrics_port=page.port),
        reload=tls.reloading(
            reloader(settings, read, [stores.webhooks.replace_apps, edge.replace_apps])
        ),
    )


def _edge_worker(settings: Settings, job: Job) -> Node:
    metrics = _metrics()
    tls = NodeTls.open(settings, metrics, has_grpc=False)
    stores = Stores.open(settings)
    edge = stores.edge(settings, metrics, tls.http, job.open_listeners())
    parent = ParentLink(job.open_link(), lambda: metrics_page(metrics))
    return Node(
        parts=[
            Part(parent.open, parent.close),
            *stores.parts,
            *([Part(stores.require_servers, _nothing)] if job.takes_over else []),
            _edge_part(edge, settings),
            tls.part,
        ],
        announce=parent.ready,
        farewell=parent.withdraw,
        reload=tls.reloading(
            reloader(
                settings,
                lambda: load(job.config_path, job.flags),
                [stores.webhooks.replace_apps, edge.replace_apps],
            )
        ),
    )


def _broker(settings: Settings, read: Callable[[], Settings]) -> Node:
    metrics = _metrics()
    tls = NodeTls.open(settings, metrics)
    stores, records = Stores.open(settings), open_records(settings)
    broker = stores.broker(settings, records, metrics, tls.grpc)
    http = HttpServer(settings, broker.http_api, lambda: broker.unavailable, tls.http)
    page = MetricsServer(metrics, settings.metrics_host, settings.metrics_port)
    return Node(
        parts=[
            *stores.parts,
            Part(records.start, records.close),
            _broker_part(broker, settings),
            Part(http.start, http.stop, address(settings.host, settings.port), "--port"),
            _page_part(page, settings),
            tls.part,
        ],
        announce=lambda: _log.info(
            "ready", port=http.port, grpc_port=broker.grpc_port, metrics_port=page.port
        ),
        reload=tls.reloading(
            reloader(settings, read, [stores.webhooks.replace_apps, broker.replace_apps])
        ),
    )


def _authsvc(settings: Settings, read: Callable[[], Settings]) -> Node:
    metrics = _metrics()
    tls = NodeTls.open(settings, metrics)
    server = AuthServer(settings, metrics=metrics, tls=tls.http, grpc_tls=tls.grpc)
    page = MetricsServer(metrics, settings.metrics_host, settings.metrics_port)
    where = address(settings.host, settings.port)
    where_grpc = address(settings.host, settings.grpc_port)
    return Node(
        parts=[
            Part(server.start_http, server.stop_http, where, "--port"),
            Part(server.start_grpc, server.stop_grpc, where_grpc, "--grpc-port"),
            _page_part(page, settings),
            tls.part,
        ],
        announce=lambda: _log.info(
            "ready",
            port=server.port,
            grpc_port=server.grpc_port,
            metrics_port=page.port,
            upstream=settings.auth_upstream,
        ),
        reload=tls.reloading(reloader(settings, read, [server.replace_apps])),
    )


def _publish_by(broker: BrokerServer, app: App) -> Publish:
    async def publish(channel: str, name: str, data: str) -> Outcome:
        event = Event(app.id, [channel], name, data)
        (outcome,) = await broker.publisher.publish([event], json_data=True)
        return outcome

    return publish


def _edge_part(edge: EdgeServer, settings: Settings) -> Part:
    return Part(edge.start, edge.stop, address(settings.host, settings.port), "--port")


def _broker_part(broker: BrokerServer, settings: Settings) -> Part:
    where = address(settings.host, settings.grpc_port)
    return Part(broker.start, broker.stop, where, "--grpc-port")


def _page_part(page: MetricsServer, settings: Settings) -> Part:
    where = address(settings.metrics_host, settings.metrics_port)
    return Part(page.start, page.stop, where, "--metrics-port")


async def _nothing() -> None:
    """Start what needs no starting."""


def _metrics() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
