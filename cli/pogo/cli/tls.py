"""The TLS of one process: what its ports show, and that it stays new."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pogo.cli.errors import UsageError
from pogo.cli.runner import Part
from pogo.settings import Settings
from pogo.telemetry import get_logger
from pogo.tls import ClientTls, Handshakes, ServerTls, TlsError, readable_by_others
from pogo.tls.metrics import TlsMetrics
from pogo.tls.watch import CertificateWatch

_HTTP = "http"
_GRPC = "grpc"

_log = get_logger()


@dataclass(frozen=True, slots=True)
class NodeTls:
    """What the ports of one process show."""

    http: ServerTls | None
    """On the port for WebSocket and HTTP; none where it speaks no TLS."""
    grpc: ServerTls | None
    watch: CertificateWatch

    @classmethod
    def open(
        cls, settings: Settings, metrics: CollectorRegistry, *, has_grpc: bool = True
    ) -> "NodeTls":
        """Read the files that the settings name for the ports of this process.

        Raises:
            UsageError: One of them cannot be used.
        """
        counts = TlsMetrics(metrics)
        listeners = _listeners(settings, counts, has_grpc=has_grpc)
        for name, listener in listeners.items():
            counts.expiry(name, functools.partial(_expiry, listener))
        watch = CertificateWatch(listeners, settings.tls_reload_interval)
        return cls(listeners.get(_HTTP), listeners.get(_GRPC), watch)

    @property
    def part(self) -> Part:
        """What looks at the files while the process runs."""
        return Part(self.watch.start, self.watch.stop)

    def reloading(self, reload: Callable[[], None]) -> Callable[[], None]:
        """Return what reads the files again, and then does what SIGHUP does beside that."""

        def reload_all() -> None:
            self.watch.look()
            reload()

        return reload_all


def check_tls(settings: Settings) -> None:
    """See that all files of TLS can be used which the settings name.

    Raises:
        UsageError: One cannot.
    """
    _listeners(settings, TlsMetrics(CollectorRegistry()), has_grpc=True)
    for prefix in ("nats_tls", "redis_tls", "auth_service_tls"):
        ca, certificate, key = (getattr(settings, f"{prefix}_{n}") for n in ("ca", "cert", "key"))
        with _explained(f"{prefix}_ca, {prefix}_cert, {prefix}_key"):
            ClientTls(ca, certificate, key).context()


def exposed_keys(settings: Settings) -> list[str]:
    """Name the files with a secret in them that every user of the machine can read."""
    names = [name for name in type(settings).model_fields if name.endswith("_tls_key")]
    names += ["tls_key", "nats_creds", "nats_nkey"]
    return [
        f"{name}: every user of this machine can read {path}: chmod o-r it"
        for name in names
        if (path := getattr(settings, name)) and readable_by_others(path)
    ]


def _listeners(settings: Settings, counts: TlsMetrics, *, has_grpc: bool) -> dict[str, ServerTls]:
    listeners: dict[str, ServerTls] = {}
    if settings.tls_cert:
        handshakes = Handshakes(settings.max_connections, counts.handshake)
        with _explained("tls_cert, tls_key"):
            listeners[_HTTP] = ServerTls(settings.tls_cert, settings.tls_key, handshakes=handshakes)
    certificate = settings.grpc_tls_cert or settings.tls_cert
    key = settings.grpc_tls_key or settings.tls_key
    if certificate and has_grpc:
        with _explained("TLS of gRPC"):
            listeners[_GRPC] = ServerTls(certificate, key, client_ca=settings.grpc_tls_client_ca)
    return listeners


def _expiry(listener: ServerTls) -> float:
    return listener.identity.expires.timestamp()


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what is wrong with files into what ends a command, with the settings that name them."""
    try:
        yield
    except TlsError as error:
        raise UsageError(f"{what}: {error}") from None
