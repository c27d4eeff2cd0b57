"""Which server and which app `pogo publish` and `pogo listen` mean."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from pogo.cli.addresses import local_address
from pogo.cli.configuration import load
from pogo.cli.errors import UsageError
from pogo.client import read_run_file


@dataclass(frozen=True, slots=True)
class Target:
    """One app of one server."""

    url: str
    """Where browsers connect: `http://HOST:PORT`."""
    broker: str
    """Where publishers connect: `HOST:PORT`."""
    app_id: str
    key: str
    secret: str | None = field(repr=False)
    tls: bool = False
    """Whether the broker is to be spoken TLS to. The URL says it itself."""
    ca: Path | None = None
    """A file with the authorities to believe; none for those of the system."""


def find_target(
    *,
    config: Path | None = None,
    url: str | None = None,
    broker: str | None = None,
    app_id: str | None = None,
    key: str | None = None,
    secret_from_env: str | None = None,
    tls: bool = False,
    ca: Path | None = None,
) -> Target:
    """Find the app that the flags name, or the only one there is.

    Apps are those of the settings; if there is none, that of a `pogo serve` which runs on this
    machine without configuration. An app that is found nowhere is what the flags say of it.

    Raises:
        UsageError: There is no app, or more than one to choose from.
    """
    settings = load(config, {})
    scheme = "https" if settings.tls_cert else "http"
    here = Target(
        url=f"{scheme}://{local_address(settings.host, settings.port)}",
        broker=local_address(settings.host, settings.grpc_port),
        app_id="",
        key="",
        secret=None,
        tls=bool(settings.tls_cert or settings.grpc_tls_cert),
    )
    apps = [
        replace(here, app_id=app.id, key=app.key, secret=app.secret.get_secret_value())
        for app in settings.apps
    ]
    run = read_run_file()
    if not apps and run is not None:
        here = replace(here, url=run.url, broker=run.broker, tls=run.tls)
        apps = [replace(here, app_id=run.app_id, key=run.key, secret=run.secret)]
    found = _choose(apps, app_id, key) or here
    if not found.app_id and app_id is None and key is None:
        raise UsageError(
            "no app is known: start `pogo serve` in another terminal, or name one in pogo.toml"
        )
    named_broker = broker or os.environ.get("POGO_BROKER")
    named_ca = ca or os.environ.get("POGO_CA_FILE")
    return Target(
        url=url or found.url,
        broker=named_broker or found.broker,
        app_id=found.app_id or app_id or key or "",
        key=found.key or key or app_id or "",
        secret=found.secret if secret_from_env is None else _secret(secret_from_env),
        # Of a broker that is named, the settings here do not know.
        tls=tls or ca is not None or (found.tls and not named_broker),
        ca=Path(named_ca) if named_ca else None,
    )


def _choose(apps: list[Target], app_id: str | None, key: str | None) -> Target | None:
    matching = [app for app in apps if app_id in (None, app.app_id) and key in (None, app.key)]
    if len(matching) > 1:
        names = ", ".join(app.app_id for app in matching)
        raise UsageError(f"which app? Choose one with --app-id: {names}")
    return matching[0] if matching else None


def _secret(variable: str) -> str:
    secret = os.environ.get(variable)
    if not secret:
        raise UsageError(f"the environment variable {variable} holds no secret")
    return secret
