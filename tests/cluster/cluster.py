"""Edges and brokers of one app, and what they are asked together."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pogo.client import Client, PublishError
from tests.cluster.cable import Cable
from tests.cluster.nodes import Node
from tests.e2e.application import Application
from tests.servers import HOST


class Cluster:
    """Edges, each with a cable to the bus server, and brokers, all of one app."""

    def __init__(
        self,
        application: Application,
        settings: Mapping[str, str],
        folder: Path,
        *,
        bus_port: int = 0,
    ) -> None:
        """Use these settings for all nodes; with `bus_port`, edges reach the bus by a cable."""
        self.application = application
        self._settings = {
            **settings,
            "POGO_APP_ID": application.app_id,
            "POGO_APP_KEY": application.key,
            "POGO_APP_SECRET": application.secret,
            # The tests connect from one address.
            "POGO_HANDSHAKE_RATE": "-1",
        }
        self._folder = folder
        self._bus_port = bus_port
        self._numbers = itertools.count()
        self._publishers: list[Client] = []
        self._extra: list[Node] = []
        self.edges: list[Node] = []
        self.brokers: list[Node] = []

    @property
    def nodes(self) -> list[Node]:
        """All nodes there are."""
        return [*self.edges, *self._extra, *self.brokers]

    async def start(self, *, edges: int = 3, brokers: int = 1) -> None:
        """Start so many of each at once. Where some fail, `stop` ends the others."""
        self.edges = [self._edge({}) for _ in range(edges)]
        self.brokers = [self._node("broker", self._settings, None) for _ in range(brokers)]
        for broker in self.brokers:
            self._publishers.append(self._publisher(broker))
        # All of them to their end: a process whose start was given up would be nobody's.
        starts = [node.start() for node in self.nodes]
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def add_edge(self, **settings: str) -> Node:
        """Start one more edge with settings of its own, until `repair`."""
        edge = self._edge(settings)
        self._extra.append(edge)
        await edge.start()
        return edge

    async def repair(self) -> None:
        """Undo what was done to the nodes, and stop those that were added."""
        extra, self._extra = self._extra, []
        async with asyncio.TaskGroup() as group:
            for node in extra:
                group.create_task(node.close())
            for node in (*self.edges, *self.brokers):
                group.create_task(node.repair())

    async def stop(self) -> None:
        """Stop all nodes."""
        for publisher in self._publishers:
            publisher.close()
        await asyncio.gather(*(node.close() for node in self.nodes))

    def publish(
        self,
        channel: str,
        event: str,
        data: object,
        *,
        socket_id: str | None = None,
        broker: int = 0,
    ) -> int | None:
        """Publish through a broker, and return the code; `None` where the call itself failed."""
        try:
            self._publishers[broker].publish(channel, event, data, socket_id=socket_id)
        except PublishError as error:
            return None if error.code is None else error.code.value
        return 0

    async def published(self, channel: str) -> int | None:
        """Publish some event while the event loop goes on, and return the code."""
        return await asyncio.to_thread(self.publish, channel, "event", {})

    def count(self, event: str) -> int:
        """Count the lines of one event in the logs of all edges."""
        return sum(len(edge.logged(event)) for edge in (*self.edges, *self._extra))

    def tracebacks(self) -> list[str]:
        """Return what nobody has expected: log lines with a traceback."""
        return [json.dumps(line) for node in self.nodes for line in node.lines() if _failed(line)]

    def _edge(self, settings: Mapping[str, str]) -> Node:
        if not self._bus_port:
            return self._node("edge", {**self._settings, **settings}, None)
        cable = Cable(self._bus_port)
        where = {"POGO_REDIS_PORT": str(cable.port)}
        if self._settings["POGO_BUS"] == "nats":
            where = {"POGO_NATS_URL": f"nats://{HOST}:{cable.port}"}
        return self._node("edge", {**self._settings, **where, **settings}, cable)

    def _node(self, command: str, settings: Mapping[str, str], cable: Cable | None) -> Node:
        name = f"{command}-{next(self._numbers)}"
        return Node(command, name, settings, self._folder, cable)

    def _publisher(self, broker: Node) -> Client:
        app = self.application
        target = f"{HOST}:{broker.port}"
        return Client(target, app_id=app.app_id, key=app.key, secret=app.secret)


def _failed(line: Mapping[str, Any]) -> bool:
    return "exception" in line or "exc_info" in line
