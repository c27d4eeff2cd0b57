"""What an edge counts. The hot path only adds to plain numbers, which a scrape reads."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_PREFIX = "pogo_websocket_"


class EdgeMetrics(Collector):
    """The edge's metrics, under the names that Pogo's users know."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        # WebSocket messages, both ways: the hot path.
        self.messages_in = 0
        self.messages_out = 0
        # Messages that slow clients did not get, by what was done about it.
        self.dropped_by_close = 0
        self.dropped_by_drop = 0
        # Events that a channel had no room for.
        self.dropped_by_channel = 0
        registry.register(self)
        self.handshakes = self._counter("handshakes", "Handshakes, by outcome.", "outcome")
        self.closed = self._counter(
            "connections_closed", "Connections that this edge closed, by close code.", "code"
        )
        self.errors = self._counter("errors", "pusher:error events sent, by code.", "code")
        self.client_events_failed = self._counter(
            "client_events_failed", "Client events that the bus did not take."
        )
        self.client_events_limited = self._counter(
            "client_events_rate_limited",
            "Client events that were refused because their app had reached its rate.",
        )
        self.authorizations = self._counter(
            "edge_authorizations",
            "Questions to the application for clients without a signature, by outcome.",
            "outcome",
        )
        self.cache_subscriptions = self._counter(
            "cache_subscriptions",
            "Subscriptions to cache channels, by what they began with: the event heard last, the "
            "one that was read, a miss, or nothing, because it could not be read (unknown).",
            "outcome",
        )
        self.registry_write_failures = self._counter(
            "registry_write_failures",
            "Batches of writes that the registry did not take as a whole; they are repeated.",
        )
        self.webhook_events_dropped = self._counter(
            "edge_webhook_events_dropped",
            "Client events and cache misses that did not get into an endpoint's queue, by reason.",
            "reason",
        )
        self.invalid_deliveries = self._counter(
            "invalid_deliveries", "Messages on the bus that are no deliveries."
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Have a scrape read a number that is there anyway."""
        Gauge(_PREFIX + name, text, registry=self._registry).set_function(read)

    def collect(self) -> Iterable[Metric]:
        """Report the plain numbers."""
        messages = CounterMetricFamily(
            _PREFIX + "messages", "WebSocket messages, by direction.", labels=["direction"]
        )
        messages.add_metric(["in"], self.messages_in)
        messages.add_metric(["out"], self.messages_out)
        dropped = CounterMetricFamily(
            _PREFIX + "client_dropped_messages",
            "Messages that a slow client did not get, by what was done about the client.",
            labels=["policy"],
        )
        dropped.add_metric(["close"], self.dropped_by_close)
        dropped.add_metric(["drop"], self.dropped_by_drop)
        backlog = CounterMetricFamily(
            _PREFIX + "channel_dropped_messages",
            "Events for a channel that had more to write already than it may.",
            value=self.dropped_by_channel,
        )
        return [messages, dropped, backlog]

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, text, labels, registry=self._registry)
