"""Which services are tried, and as which app."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pogo.cli.addresses import local_address
from pogo.cli.errors import UsageError
from pogo.client import read_run_file
from pogo.settings import Settings
from pogo.tls import ClientTls

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Flags:
    """What was typed; `None` where nothing was."""

    url: str | None = None
    edge: str | None = None
    broker: str | None = None
    authsvc: str | None = None
    app_id: str | None = None
    tls: bool = False
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is tried."""

    url: str
    """`http://HOST:PORT`, with `https` for TLS."""
    is_named: bool
    """Whether it has to be there; others are merely looked for."""

    @property
    def parts(self) -> SplitResult:
        """Its URL, taken apart."""
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """The name or the address of the machine."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """The port."""
        port = self.parts.port
        return _PORTS[self.parts.scheme] if port is None else port

    @property
    def has_tls(self) -> bool:
        """Whether TLS is spoken."""
        return self.parts.scheme == "https"

    def __str__(self) -> str:
        return self.url if self.parts.path else self.parts.netloc


@dataclass(frozen=True, slots=True)
class AppKeys:
    """The app as which services are tried."""

    id: str
    key: str
    secret: str = field(repr=False)
    origin: str = ""
    """A page that may connect, for edges that insist on one; empty where any may."""


@dataclass(frozen=True, slots=True)
class Targets:
    """All services to try."""

    app: AppKeys | None
    edge: Place
    api: Place
    """Where the HTTP API is, which is not always where edges are."""
    broker: Place
    authsvc: Place | None
    tls: ClientTls
    """Whom to believe that they are one of these, and what to show to brokers."""
    authsvc_tls: ClientTls

    @classmethod
    def find(cls, settings: Settings, flags: Flags) -> Self:
        """Take what flags name, else what the settings say, else what may be on this machine.

        Raises:
            UsageError: A flag is no address, or names an app that is not there.
        """
        run = read_run_file() if not settings.apps else None
        has_grpc_tls = bool(settings.tls_cert or settings.grpc_tls_cert)
        if run is not None:
            url, broker, has_grpc_tls = run.url, run.broker, run.tls
        else:
            scheme = "https" if settings.tls_cert else "http"
            url = f"{scheme}://{local_address(settings.host, settings.port)}"
            broker = local_address(settings.host, settings.grpc_port)
        ca = flags.ca or os.environ.get("POGO_CA_FILE") or ""
        certificate, key = (os.environ.get(f"POGO_CLIENT_{n}", "") for n in ("CERT", "KEY"))
        named_broker = flags.broker or os.environ.get("POGO_BROKER")
        authsvc = flags.authsvc or settings.auth_service
        authsvc_tls = settings.auth_service_tls
        return cls(
            app=_app(settings, flags.app_id),
            edge=_place(flags.edge or flags.url, url),
            api=_place(flags.url, url),
            # Of a broker that is named, the settings here do not know.
            broker=_grpc_place(
                named_broker, broker, tls=flags.tls or (has_grpc_tls and not named_broker)
            ),
            authsvc=_grpc_place(authsvc, "", tls=flags.tls or authsvc_tls) if authsvc else None,
            tls=ClientTls(str(ca), certificate, key),
            authsvc_tls=ClientTls(
                str(ca) or settings.auth_service_tls_ca,
                settings.auth_service_tls_cert,
                settings.auth_service_tls_key,
            ),
        )


def _app(settings: Settings, app_id: str | None) -> AppKeys | None:
    apps = [
        AppKeys(
            app.id,
            app.key,
            app.secret.get_secret_value(),
            _origin(
                settings.allowed_origins if app.allowed_origins is None else app.allowed_origins
            ),
        )
        for app in settings.apps
        if app.enabled
    ]
    run = read_run_file()
    if not settings.apps and run is not None:
        apps = [AppKeys(run.app_id, run.key, run.secret)]
    if app_id is not None:
        apps = [app for app in apps if app.id == app_id]
        if not apps:
            raise UsageError(f"no app that is enabled has the id {app_id!r}")
    return apps[0] if apps else None


def _origin(patterns: Iterable[str]) -> str:
    for pattern in patterns:
        if "*" not in pattern:
            return pattern if "://" in pattern else f"https://{pattern}"
    return ""


def _place(named: str | None, default: str) -> Place:
    if not named:
        return Place(default, is_named=False)
    url = named if "://" in named else f"http://{named}"
    scheme, _, rest = url.partition("://")
    scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    place = Place(f"{scheme}://{rest.partition('?')[0].rstrip('/')}", is_named=True)
    if scheme not in _PORTS or "@" in rest or not _is_reachable(place):
        raise UsageError(f"{named.rpartition('@')[2]} is no URL such as http://127.0.0.1:8080")
    return place


def _grpc_place(named: str | None, default: str, *, tls: bool) -> Place:
    place = Place(f"{'https' if tls else 'http'}://{named or default}", is_named=bool(named))
    if named and (not _is_reachable(place) or place.parts.netloc != named or not place.parts.port):
        raise UsageError(f"{named} is no address such as 127.0.0.1:50051")
    return place


def _is_reachable(place: Place) -> bool:
    try:
        return bool(place.host) and place.port != 0
    except ValueError:
        return False
