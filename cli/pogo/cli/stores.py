"""What edges and brokers meet on, for the services that are made of them."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pogo.broker.server import BrokerServer
from pogo.bus import Bus
from pogo.cli.buses import open_bus, open_cache, open_registry
from pogo.cli.errors import CommandError
from pogo.cli.runner import Part
from pogo.cli.webhook_store import WebhookStorePart
from pogo.edge.server import EdgeServer
from pogo.records import Records
from pogo.registry import Registry
from pogo.settings import Settings
from pogo.tls import ServerTls


@dataclass(frozen=True, slots=True)
class Stores:
    """What edges and brokers meet on: the bus, and all that they share beside it."""

    bus: Bus
    registry: Registry
    cache: Records
    webhooks: WebhookStorePart

    @classmethod
    def open(cls, settings: Settings) -> "Stores":
        """Make them; they are not started yet."""
        return cls(
            open_bus(settings),
            open_registry(settings),
            open_cache(settings),
            WebhookStorePart(settings),
        )

    @property
    def parts(self) -> list[Part]:
        """What is started before edges and brokers, and closed after them."""
        return [
            Part(self.bus.start, self.bus.close),
            Part(self.registry.start, self.registry.close),
            Part(self.cache.start, self.cache.close),
            Part(self.webhooks.start, self.webhooks.close),
        ]

    async def require_servers(self) -> None:
        """Fail unless the bus and the registry are there, once they have been started.

        Raises:
            CommandError: One of them is away.
        """
        connected = {"bus": self.bus.connected, "registry": self.registry.connected}
        away = [name for name, is_there in connected.items() if not is_there]
        if away:
            raise CommandError(f"cannot take over: the {' and the '.join(away)} cannot be reached")

    def edge(
        self,
        settings: Settings,
        metrics: CollectorRegistry,
        tls: ServerTls | None,
        sockets: Sequence[socket.socket] = (),
    ) -> EdgeServer:
        """Make an edge on them; it listens on the sockets, or where the settings say."""
        return EdgeServer(
            settings,
            bus=self.bus,
            registry=self.registry,
            metrics=metrics,
            cache=self.cache,
            webhook_store=self.webhooks.store,
            tls=tls,
            sockets=sockets,
        )

    def broker(
        self,
        settings: Settings,
        records: Records,
        metrics: CollectorRegistry,
        tls: ServerTls | None,
    ) -> BrokerServer:
        """Make a broker on them; the records are those of message ids, `tls` is what gRPC shows."""
        return BrokerServer(
            settings,
            bus=self.bus,
            registry=self.registry,
            records=records,
            metrics=metrics,
            cache=self.cache,
            webhook_store=self.webhooks.store,
            tls=tls,
        )
