"""Deliveries that run, and events for them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from pogo.broker.webhooks import Deliveries, DeliveryMetrics
from pogo.broker.webhooks.endpoint import Pace
from pogo.settings import App, Settings, Webhook
from pogo.webhooks import Item, Queue, WebhookStore
from tests.broker.helpers import APP

QUICK = Pace(first_retry=0.02, longest_retry=0.1, look_every=0.2)
"""So that a test need not wait for the pauses of production."""

_TOGETHER = 500
_PREFIX = "pogo_websocket_webhook_"


def make_webhook(url: str, name: str = "hook", **changes: object) -> Webhook:
    """Name an endpoint."""
    return Webhook.model_validate({"url": url, "name": name, **changes})


def make_settings(**changes: object) -> Settings:
    """Make settings with one app; batches wait for no one."""
    return Settings.model_validate({"apps": (APP,), "webhook_batch_wait": 0.001, **changes})


def make_items(
    events: Sequence[tuple[str, int]], name: str = "hook", app: App = APP, size: int = 0
) -> list[Item]:
    """Write client events by channel and number; each has `size` more bytes of data."""
    return [
        Item(
            Queue(app.id, name),
            f"{channel}-{number}",
            json.dumps(
                {
                    "name": "client_event",
                    "channel": channel,
                    "event": "client-moved",
                    "data": str(number) + "." * size,
                    "id": f"{channel}-{number}",
                }
            ).encode(),
        )
        for channel, number in events
    ]


def spread(count: int, channels: int = 5) -> list[tuple[str, int]]:
    """Name `count` events, by turns on some channels."""
    return [(f"private-{number % channels}", number) for number in range(count)]


def in_order(events: Sequence[dict[str, str]]) -> bool:
    """Whether each channel's events came in order, where each counts when it first came."""
    last: dict[str, int] = {}
    seen: set[str] = set()
    for event in events:
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        number = int(event["data"].split(".")[0])
        if number <= last.get(event["channel"], -1):
            return False
        last[event["channel"]] = number
    return True


@dataclass
class Delivering:
    """Deliveries from a store, and what they count."""

    store: WebhookStore
    deliveries: Deliveries
    registry: CollectorRegistry

    async def enqueue(self, items: Sequence[Item]) -> None:
        """Store events; all of them are."""
        for start in range(0, len(items), _TOGETHER):
            assert {None} == set(await self.store.enqueue(items[start : start + _TOGETHER]))

    async def until_empty(self, name: str = "hook", app: App = APP) -> None:
        """Wait until nothing waits for an endpoint."""
        await until(lambda: self.store.size(Queue(app.id, name)), 0)

    def count(self, metric: str, name: str = "hook", **labels: str) -> float:
        """Read a metric of an endpoint of the app."""
        labels = {"app": APP.id, "endpoint": name, **labels}
        return self.registry.get_sample_value(f"{_PREFIX}{metric}", labels) or 0.0

    def results(self, name: str = "hook") -> dict[str, int]:
        """Read what became of the requests to an endpoint."""
        kinds = ("ok", "refused", "timeout", "error")
        counts = {kind: int(self.count("requests_total", name, result=kind)) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count}


async def until(ask: Callable[[], object], expected: object) -> None:
    """Wait until an answer, which a store may have to be asked for, is the expected one."""
    async with asyncio.timeout(20):
        while True:
            answer = ask()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer == expected:
                return
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def delivering(
    store: WebhookStore,
    *webhooks: Webhook,
    app: App = APP,
    pace: Pace = QUICK,
    clock: Callable[[], float] = time.time,
    **settings: object,
) -> AsyncIterator[Delivering]:
    """Lead an app with these endpoints."""
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    deliveries = Deliveries(store, make_settings(**settings), metrics, pace=pace, clock=clock)
    if webhooks:
        deliveries.lead(app, webhooks)
    try:
        yield Delivering(store, deliveries, registry)
    finally:
        await deliveries.stop()


def rotated(secret: str, previous: str | None = None) -> App:
    """Make the app with other secrets."""
    secrets = {"secret": SecretStr(secret), "previous_secret": previous and SecretStr(previous)}
    return APP.model_copy(update=secrets)
