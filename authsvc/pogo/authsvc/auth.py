"""The auth service without what it listens on: `pogo serve` has it on the edge's port."""

from collections.abc import Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry

from pogo.authsvc.apps import AuthApps
from pogo.authsvc.breaker import Circuit
from pogo.authsvc.grpc_service import EdgeAuth
from pogo.authsvc.http_service import HttpService
from pogo.authsvc.metrics import AuthMetrics
from pogo.authsvc.service import AuthService
from pogo.authsvc.upstreams import make_upstream
from pogo.authsvc.worker import Worker, WorkerLimits
from pogo.settings import App, Settings


class Auth:
    """Signs by the worker of the settings, which name one."""

    def __init__(self, settings: Settings, metrics: CollectorRegistry) -> None:
        self._settings = settings
        self._apps = AuthApps(settings.apps, settings.allowed_origins)
        auth_metrics = AuthMetrics(metrics)
        limits = WorkerLimits(
            connections=settings.auth_connections,
            max_concurrent=settings.max_concurrent_auth,
            timeout=settings.auth_timeout,
            breaker_failures=settings.auth_breaker_failures,
            breaker_wait=settings.auth_breaker_wait,
        )
        self._worker = Worker(make_upstream(settings), limits, auth_metrics)
        service = AuthService(
            self._worker,
            self._apps,
            auth_metrics,
            auth_path=settings.auth_path,
            user_auth_path=settings.user_auth_path,
            max_channel_length=settings.max_channel_length,
        )
        self.for_edges = EdgeAuth(service)
        """What edges ask."""
        self._http = HttpService(
            service,
            self._apps,
            max_body=settings.max_auth_body,
            timeout=settings.auth_timeout,
            trusted_proxies=settings.trusted_proxies,
        )

    @property
    def circuit(self) -> Circuit:
        """Whether requests reach the worker."""
        return self._worker.circuit

    def add_routes(self, application: web.Application) -> None:
        """Answer browsers at the paths of the settings."""
        self._http.add_routes(application, self._settings.auth_path, self._settings.user_auth_path)

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Sign for these apps from now on."""
        self._apps.replace(apps)

    async def close(self) -> None:
        """Give up what is under way, and close the connections to the worker. Idempotent."""
        await self._worker.close()
