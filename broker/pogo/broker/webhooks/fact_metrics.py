"""What a broker counts of the facts that it announces."""

from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from pogo.settings import WebhookEvent


class FactMetrics:
    """The metrics of the apps whose facts this broker announces."""

    def __init__(self, registry: CollectorRegistry) -> None:
        facts = Counter(
            "pogo_websocket_webhook_facts",
            "Events about channels and members that were queued for endpoints, by event.",
            ["event"],
            registry=registry,
        )
        self._differences = Gauge(
            "pogo_websocket_webhook_differences_waiting",
            "Differences between what is and what endpoints were told, that wait to be queued.",
            registry=registry,
        )
        self._apps = Gauge(
            "pogo_websocket_webhook_apps_led",
            "Apps whose webhooks this broker looks after.",
            registry=registry,
        )
        self._facts = {event: facts.labels(event) for event in get_args(WebhookEvent)}

    def queued(self, events: Iterable[WebhookEvent]) -> None:
        """Count events that stand in a queue."""
        for event in events:
            self._facts[event].inc()

    def watch(self, *, differences: Callable[[], int], apps: Callable[[], int]) -> None:
        """Let the gauges read these whenever they are asked."""
        self._differences.set_function(differences)
        self._apps.set_function(apps)
