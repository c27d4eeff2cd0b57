"""What the auth service counts."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pogo.authsvc.breaker import Circuit
from pogo.authsvc.errors import FAILURE_REASONS, FailureReason

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)


class AuthMetrics:
    """The metrics of one auth service, on the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._duration = Histogram(
            "pogo_websocket_auth_duration_seconds",
            "How long requests took that were passed to the worker, whatever the answer.",
            buckets=SECONDS,
            registry=registry,
        )
        failures = Counter(
            "pogo_websocket_auth_failures",
            "Requests that got no signature, by reason.",
            ["reason"],
            registry=registry,
        )
        self._opened = Counter(
            "pogo_websocket_circuit_breaker_open",
            "How often the worker failed so often that it was left alone for a while.",
            registry=registry,
        )
        # Every reason is there from the start, so that its rate begins at zero.
        self._failures = {reason: failures.labels(reason) for reason in FAILURE_REASONS}

    def passed(self, seconds: float) -> None:
        """Count a request that was passed to the worker."""
        self._duration.observe(seconds)

    def failed(self, reason: FailureReason) -> None:
        """Count a request that got no signature."""
        self._failures[reason].inc()

    def circuit_opened(self) -> None:
        """Count that the worker is left alone."""
        self._opened.inc()

    def watch(self, *, in_flight: Callable[[], int], circuit: Callable[[], Circuit]) -> None:
        """Let the gauges read the worker whenever they are asked."""
        Gauge(
            "pogo_websocket_auth_requests_active",
            "Requests that wait for the worker or are with it.",
            registry=self._registry,
        ).set_function(in_flight)
        Gauge(
            "pogo_websocket_auth_circuit_closed",
            "1 while requests reach the worker, 0 while it is left alone.",
            registry=self._registry,
        ).set_function(lambda: circuit() is Circuit.CLOSED)
