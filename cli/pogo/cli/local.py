"""`pogo serve` as others meet it: its banner, and the run file that holds a random secret."""

import os
import secrets
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from pogo.cli.addresses import local_address
from pogo.cli.banner import command_name, show_banner
from pogo.client import RunFile, read_run_file, remove_run_file, write_run_file
from pogo.settings import App, Settings
from pogo.telemetry import get_logger

APP_ID = "pogo-app"

_log = get_logger()


def make_app() -> App:
    """Make the app of a server without configuration; its secret is new each time."""
    return App(id=APP_ID, secret=SecretStr(secrets.token_hex(32)))


@dataclass(frozen=True, slots=True)
class Ports:
    """What the servers of one process listen on."""

    http: int
    grpc: int
    metrics: int


class LocalServer:
    """One `pogo serve`; `unconfigured` means that it has the app of `make_app`, and the demo."""

    def __init__(self, settings: Settings, *, unconfigured: bool, config: Path | None) -> None:
        self._settings = settings
        self._unconfigured = unconfigured
        self._config = config

    def announce(self, ports: Ports) -> None:
        """Say where everything is: on a terminal to people, else to the log."""
        settings = self._settings
        scheme = "https" if settings.tls_cert else "http"
        url = f"{scheme}://{local_address(settings.host, ports.http)}"
        grpc = local_address(settings.host, ports.grpc)
        metrics = f"http://{local_address(settings.metrics_host, ports.metrics)}/metrics"
        run_file = self._write_run_file(url, grpc) if self._unconfigured else None
        if sys.stdout.isatty() and settings.log_format != "json":
            show_banner(self.lines(url, grpc, metrics, run_file))
        else:
            _log.info(
                "ready",
                url=url,
                grpc=grpc,
                metrics=metrics,
                apps=[app.id for app in settings.apps],
                run_file=None if run_file is None else str(run_file),
            )

    def farewell(self) -> None:
        """Take the run file away: publishers should not find a server that stops."""
        if self._unconfigured:
            try:
                remove_run_file()
            except OSError as error:
                _log.warning("the run file stays behind", reason=str(error))

    def _write_run_file(self, url: str, grpc: str) -> Path | None:
        other = read_run_file()
        if other is not None:
            _log.warning("no run file: that of another `pogo serve` stays", pid=other.pid)
            return None
        (app,) = self._settings.apps
        secret = app.secret.get_secret_value()
        try:
            return write_run_file(
                RunFile(os.getpid(), url, grpc, app.id, app.key, secret, self._has_grpc_tls)
            )
        except OSError as error:
            # The server works without it.
            _log.warning("no run file: publishers must be told the secret", reason=str(error))
            return None

    def lines(
        self, url: str, grpc: str, metrics: str, run_file: Path | None
    ) -> list[tuple[str, str]]:
        """Tell what to open and to type: a name and a text for each line of the banner."""
        pogo, app = command_name(), self._app_flags()
        listen = publish = ""
        if run_file is None:
            # Nothing tells the commands where this server is.
            tls = " --tls" if self._has_grpc_tls else ""
            listen, publish = f" --url {url}{app}", f" --broker {grpc}{tls}{app}"
        lines = [
            ("Open", url if self._unconfigured else f"{url}/up"),
            ("Listen", f"{pogo} listen my-channel{listen}"),
            ("Publish", f"""{pogo} publish my-channel hello '{{"from":"me"}}'{publish}"""),
            ("", ""),
            ("HTTP API", f"{url}/apps/{self._settings.apps[0].id}"),
            ("gRPC", grpc),
            ("Metrics", metrics),
            ("Apps", ", ".join(app.id for app in self._settings.apps)),
        ]
        if run_file is not None:
            lines.append(("Secret", f"random, in {run_file}"))
        return [*lines, ("Stop", "Ctrl-C")]

    @property
    def _has_grpc_tls(self) -> bool:
        return bool(self._settings.tls_cert or self._settings.grpc_tls_cert)

    def _app_flags(self) -> str:
        """Write the flags with which the commands find one of the apps."""
        flags = "" if self._config is None else f" --config {shlex.quote(str(self._config))}"
        apps = self._settings.apps
        return f"{flags} --app-id {apps[0].id}" if len(apps) > 1 else flags
