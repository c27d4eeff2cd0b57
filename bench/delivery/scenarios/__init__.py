"""The scenarios: each a module with a coroutine that measures, and adds rows to its report."""

from collections.abc import Callable, Coroutine
from typing import Any

from bench.delivery.context import Context
from bench.delivery.scenarios import (
    channels,
    churn,
    client_events,
    connect,
    edges,
    fanout,
    idle,
    lag,
    latency,
    saturation,
    slow,
    storm,
    tls,
)

SCENARIOS: dict[str, tuple[str, Callable[[Context], Coroutine[Any, Any, None]]]] = {
    "fanout": (fanout.TITLE, fanout.run),
    "idle": (idle.TITLE, idle.run),
    "connect": (connect.TITLE, connect.run),
    "churn": (churn.TITLE, churn.run),
    "client-events": (client_events.TITLE, client_events.run),
    "channels": (channels.TITLE, channels.run),
    "slow": (slow.TITLE, slow.run),
    "latency": (latency.TITLE, latency.run),
    "lag": (lag.TITLE, lag.run),
    "storm": (storm.TITLE, storm.run),
    "tls": (tls.TITLE, tls.run),
    "edges": (edges.TITLE, edges.run),
    "saturation": (saturation.TITLE, saturation.run),
}
