"""What the HTTP API counts."""

from prometheus_client import CollectorRegistry, Counter

from pogo.broker.http.paths import Endpoint


class HttpMetrics:
    """The metrics of one API, on the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "pogo_websocket_http_requests",
            "Requests of the HTTP API that were answered, by what they asked and the HTTP status.",
            ["endpoint", "status"],
            registry=registry,
        )
        # Finding a label's counter takes longer than counting.
        self._known: dict[tuple[Endpoint | None, int], Counter] = {}

    def answered(self, endpoint: Endpoint | None, status: int) -> None:
        """Count one request; `None` where its path is none of the API."""
        counter = self._known.get((endpoint, status))
        if counter is None:
            name = "none" if endpoint is None else endpoint.value
            counter = self._requests.labels(name, str(status))
            self._known[endpoint, status] = counter
        counter.inc()
