"""The clients of a soak: so many at a time, each of whom leaves and is followed by another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bench.delivery.site import Site
from bench.soak.client import Activity, Client
from bench.soak.plan import Plan
from bench.soak.publishers import publish_grpc, publish_http

_PAUSE = 1.0
"""Seconds, on average, between one client's leaving and the next one's coming."""

_CLIENT_EVENTS = 20.0
"""A second, of all clients together."""


class Crowd:
    """Clients in so many places, spread over the edges of a site."""

    def __init__(self, site: Site, plan: Plan, activity: Activity, places: int) -> None:
        self._site = site
        self._plan = plan
        self._activity = activity
        self._here: list[Client | None] = [None] * places

    async def run(self) -> None:
        """Have clients come and go, and talk, until cancelled: then all leave."""
        ports = [edge.port for edge in self._site.edges]
        async with asyncio.TaskGroup() as tasks:
            for place in range(len(self._here)):
                tasks.create_task(self._fill(place, ports[place % len(ports)]))
            tasks.create_task(self._talk())

    async def _fill(self, place: int, port: int) -> None:
        # They come one after the other, not all at once.
        pause = self._plan.gap(1 / (_PAUSE + len(self._here) / 100))
        while True:
            await asyncio.sleep(pause)
            client = self._here[place] = Client(port, self._plan.visit(), self._activity)
            try:
                await client.run()
            finally:
                self._here[place] = None
            pause = self._plan.gap(1 / _PAUSE)

    async def _talk(self) -> None:
        while True:
            await asyncio.sleep(self._plan.gap(_CLIENT_EVENTS))
            client = self._here[self._plan.number(len(self._here))]
            if client is not None:
                await client.talk(self._plan.number(1 << 16))


@contextlib.asynccontextmanager
async def crowded(site: Site, plan: Plan, activity: Activity, places: int) -> AsyncIterator[None]:
    """Have clients come and go, and publish to them, meanwhile.

    What fails in any of them by a mistake of the measurement, ends it.
    """
    crowd = Crowd(site, plan, activity, places)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(crowd.run()),
            tasks.create_task(publish_grpc(site.broker.grpc, plan, activity)),
            tasks.create_task(publish_http(site.broker.http_port, plan, activity)),
        ]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
