"""Whom to publish to and as whom: from the arguments, the environment, or the run file."""

import os
from dataclasses import dataclass, field

from pogo.client.errors import ConfigurationError
from pogo.client.runfile import read_run_file

DEFAULT_TARGET = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One app at one broker."""

    target: str
    """`HOST:PORT`, or any other name that gRPC can resolve."""
    app_id: str
    key: str
    secret: str = field(repr=False)
    tls: bool = False
    """Whether a local `pogo serve` says that it speaks TLS."""


def find_configuration(
    target: str | None = None,
    app_id: str | None = None,
    key: str | None = None,
    secret: str | None = None,
) -> Configuration:
    """Fill in what is not given: from the environment, else from a local `pogo serve`.

    Raises:
        ConfigurationError: There is no secret anywhere, or no app id for it.
    """
    target = target or os.environ.get("POGO_BROKER")
    app_id = app_id or os.environ.get("POGO_APP_ID") or os.environ.get("WS_APP_ID")
    key = key or os.environ.get("POGO_APP_KEY")
    secret = secret or os.environ.get("POGO_APP_SECRET") or os.environ.get("WS_APP_SECRET")
    if not secret:
        return _from_run_file(target, app_id, key)
    if not app_id:
        raise ConfigurationError("there is a secret but no app id: pass app_id or set POGO_APP_ID")
    return Configuration(target or DEFAULT_TARGET, app_id, key or app_id, secret)


def _from_run_file(target: str | None, app_id: str | None, key: str | None) -> Configuration:
    run = read_run_file()
    if run is None or app_id not in (None, run.app_id) or key not in (None, run.key):
        whose = f" of the app {app_id}" if app_id else ""
        raise ConfigurationError(
            f"there is no secret{whose}: pass secret, or set POGO_APP_SECRET (and POGO_APP_ID), "
            "or run `pogo serve` without configuration on this machine as the same user"
        )
    if target:
        return Configuration(target, run.app_id, run.key, run.secret)
    return Configuration(run.broker, run.app_id, run.key, run.secret, run.tls)
