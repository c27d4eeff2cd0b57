"""An endpoint that is there for all tests of a cluster, and what it was told of each channel."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.nodes import Node
from tests.cluster.waiting import eventually
from tests.webhook_receiver import WebhookReceiver

_START_TIMEOUT = 10.0


class Hooks:
    """What an endpoint was told."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._receiver = receiver
        self.url = receiver.url

    def events(self, channel: str) -> list[dict[str, Any]]:
        """Return what was told of a channel, in order, each event by its id once."""
        events = {event["id"]: event for event in self._receiver.events}
        return [event for event in events.values() if event["channel"] == channel]

    def told(self, channel: str) -> list[str]:
        """Return the same in short: `member_added ada`."""
        return [_short(event) for event in self.events(channel)]

    async def tell(self, channel: str, expected: Sequence[str], within: float) -> None:
        """Wait until a channel was told of this, in this order, and nothing else."""
        await eventually(
            lambda: list(expected) == self.told(channel), within, lambda: self.told(channel)
        )

    async def tell_all(self, channel: str, expected: Sequence[str], within: float) -> None:
        """Wait until a channel was told of this, in any order, and nothing else."""
        await eventually(
            lambda: sorted(expected) == sorted(self.told(channel)),
            within,
            lambda: self.told(channel),
        )


@contextmanager
def running_hooks() -> Iterator[Hooks]:
    """Run an endpoint in a thread of its own: tests have an event loop each."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    receiver = WebhookReceiver()
    try:
        asyncio.run_coroutine_threadsafe(receiver.up(), loop).result(_START_TIMEOUT)
        yield Hooks(receiver)
        asyncio.run_coroutine_threadsafe(receiver.down(), loop).result(_START_TIMEOUT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def leader(cluster: Cluster) -> Node:
    """Return the broker that leads the cluster's one app: the one that has last begun to."""
    led = {
        line["timestamp"]: broker
        for broker in cluster.brokers
        for line in broker.logged("looks after the webhooks of an app")
    }
    return led[max(led)]


def _short(event: dict[str, Any]) -> str:
    about = event.get("user_id", event.get("subscription_count", ""))
    return f"{event['name']} {about}".strip()
