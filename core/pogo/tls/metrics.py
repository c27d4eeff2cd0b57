"""What is counted of TLS."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

_PREFIX = "pogo_websocket_"


class TlsMetrics:
    """The metrics of all listeners with TLS of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handshakes = Counter(
            _PREFIX + "tls_handshakes",
            "TLS handshakes on the port of WebSocket and HTTP, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._expiry = Gauge(
            _PREFIX + "tls_certificate_expiry_timestamp_seconds",
            "When the certificate ends that a port shows.",
            ["listener"],
            registry=registry,
        )

    def handshake(self, outcome: str) -> None:
        """Count a handshake that has ended."""
        self._handshakes.labels(outcome).inc()

    def expiry(self, listener: str, read: Callable[[], float]) -> None:
        """Have a scrape read when the certificate of a listener ends."""
        self._expiry.labels(listener).set_function(read)
