"""What the delivery of webhooks counts. Endpoints appear by name, never by URL."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pogo.broker.webhooks.post import Failure
from pogo.webhooks import Queue

DropReason = Literal["expired"]
"""Why events were given up: `expired` is tried for as long as `webhook_retry_for` says."""

POST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_RESULTS = ("ok", *get_args(Failure))
_ENDPOINT = ("app", "endpoint")


class DeliveryMetrics:
    """The metrics of one broker's deliveries, on the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "pogo_websocket_webhook_requests",
            "Requests to endpoints, by what became of them.",
            [*_ENDPOINT, "result"],
            registry=registry,
        )
        self._delivered = Counter(
            "pogo_websocket_webhook_events_delivered",
            "Events that an endpoint has taken.",
            _ENDPOINT,
            registry=registry,
        )
        self._dropped = Counter(
            "pogo_websocket_webhook_events_dropped",
            "Events that were given up, by reason.",
            [*_ENDPOINT, "reason"],
            registry=registry,
        )
        self._queued = Gauge(
            "pogo_websocket_webhook_queue_events",
            "Events that wait for an endpoint, as far as the broker knows that posts them.",
            _ENDPOINT,
            registry=registry,
        )
        self._post_seconds = Histogram(
            "pogo_websocket_webhook_post_seconds",
            "How long endpoints took to answer, or not to.",
            buckets=POST_SECONDS,
            registry=registry,
        )

    def begin(self, queue: Queue) -> None:
        """Show an endpoint, so that its rates begin at zero."""
        names = (queue.app_id, queue.endpoint)
        for result in _RESULTS:
            self._requests.labels(*names, result)
        for reason in get_args(DropReason):
            self._dropped.labels(*names, reason)
        self._delivered.labels(*names)
        self._queued.labels(*names)

    def end(self, queue: Queue) -> None:
        """Stop showing how many events wait: another broker knows from now on."""
        self._queued.remove(queue.app_id, queue.endpoint)

    def posted(self, queue: Queue, result: Literal["ok"] | Failure, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(queue.app_id, queue.endpoint, result).inc()
        self._post_seconds.observe(seconds)

    def delivered(self, queue: Queue, events: int) -> None:
        """Count events that an endpoint has taken."""
        self._delivered.labels(queue.app_id, queue.endpoint).inc(events)

    def dropped(self, queue: Queue, reason: DropReason, events: int) -> None:
        """Count events that were given up."""
        self._dropped.labels(queue.app_id, queue.endpoint, reason).inc(events)

    def waiting(self, queue: Queue, events: int) -> None:
        """Note how many events wait."""
        self._queued.labels(queue.app_id, queue.endpoint).set(events)
