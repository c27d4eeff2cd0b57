"""What a scrape reads off the parts of an edge: numbers that are there anyway."""

from pogo.bus import Bus
from pogo.cluster import EDGE, Membership
from pogo.edge.hub import Hub
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.sending import ACCELERATED
from pogo.registry import Registry


def add_cluster_gauges(
    metrics: EdgeMetrics, *, bus: Bus, registry: Registry, membership: Membership
) -> None:
    """Show how the edge stands to the rest of the cluster."""
    metrics.gauge("edge_bus_connected", "1 while this edge reaches the bus.", lambda: bus.connected)
    metrics.gauge(
        "edge_registry_connected",
        "1 while this edge reaches the registry.",
        lambda: registry.connected,
    )
    metrics.gauge(
        "edge_cluster_settled",
        "1 while this edge sees the cluster as it is; else presence stands still.",
        lambda: membership.is_settled,
    )
    metrics.gauge(
        "cluster_edges",
        "Live edges, as this edge sees them.",
        lambda: len(membership.nodes.of_role(EDGE)),
    )


def add_hub_gauges(metrics: EdgeMetrics, hub: Hub) -> None:
    """Show what the edge holds, and what waits in it."""
    metrics.gauge("connections_active", "Open WebSocket connections.", lambda: len(hub))
    metrics.gauge(
        "subscriptions_active", "Subscriptions of clients.", lambda: hub.subscriptions.number
    )
    metrics.gauge(
        "edge_speedups",
        "1 where pogo-speedups writes to sockets, 0 where Python does.",
        lambda: ACCELERATED,
    )
    metrics.gauge(
        "registry_writes_waiting",
        "Entries that the registry has not confirmed yet.",
        lambda: hub.writer.waiting,
    )
    metrics.gauge(
        "registry_topics_waiting",
        "Topics of the registry that are to be followed, and are not yet.",
        lambda: hub.follower.waiting,
    )
    metrics.gauge(
        "cache_reads_waiting",
        "Cache channels whose subscribers wait for the last event.",
        lambda: hub.caches.waiting,
    )
    metrics.gauge("channels_active", "Channels with a subscriber here.", lambda: len(hub.channels))
