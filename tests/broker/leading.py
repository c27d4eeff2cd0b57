"""Brokers that look after webhooks, edges that write what there is, and a store that may fail."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from pogo.broker.webhooks import Webhooks
from pogo.bus.subjects import encode_token
from pogo.cluster import BROKER, EDGE, Membership
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.registry_writer import RegistryWriter
from pogo.pusher.members import Member, encode_member
from pogo.registry.keys import NOTHING, counts_topic, presence_topic
from pogo.settings import App, Settings, load_settings
from pogo.webhooks import Item, Lead, Queue, StoreUnavailableError, WebhookStore
from pogo.webhooks.memory import MemoryWebhookStore
from tests.cluster_state.helpers import Cluster, Link

NOBODY = "http://127.0.0.1:9/"
"""An endpoint that does not answer: what is queued for it stays."""

DELAY = 0.3
"""Seconds that what ends has to have ended."""

WITHIN = 10.0


class AwayStore(MemoryWebhookStore):
    """A store that can be away, and that fails in ways which no adapter has."""

    def __init__(self, queue_size: int = 1000) -> None:
        super().__init__(queue_size)
        self.is_away = False
        self.bugs = 0
        self.leads = 0

    async def lead(self, app_id: str) -> tuple[Lead, dict[str, bytes]]:
        """Take the lead, or fail."""
        self._check()
        self.leads += 1
        return await super().lead(app_id)

    async def commit(
        self, lead: Lead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Commit, or fail."""
        self._check()
        if self.bugs:
            self.bugs -= 1
            raise RuntimeError("a bug")
        await super().commit(lead, changes, items)

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("away")


@dataclass
class Broker:
    """What of a broker looks after webhooks."""

    webhooks: Webhooks
    member: Membership
    link: Link
    metrics: CollectorRegistry

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric; 0 where it was never counted."""
        return self.metrics.get_sample_value(f"pogo_websocket_webhook_{name}", labels) or 0.0

    async def leave(self) -> None:
        """Stop as a broker does."""
        await self.webhooks.stop()
        await self.member.leave()


@dataclass
class Edge:
    """What of an edge writes to the registry."""

    writer: RegistryWriter
    link: Link
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def join(self, channel: str, user: str, *, app: str = "app", socket: str = "1.1") -> None:
        """Have a connection of a user be on a presence channel."""
        item = encode_token(f"{socket}-{user}")
        self.writer.put(presence_topic(app, channel), item, encode_member(Member(user)))

    def leave(self, channel: str, user: str, *, app: str = "app", socket: str = "1.1") -> None:
        """Have it leave."""
        self.writer.delete(presence_topic(app, channel), encode_token(f"{socket}-{user}"))

    def count(self, channel: str, number: int, *, app: str = "app") -> None:
        """Have a channel have so many subscribers."""
        topic = counts_topic(app, channel)
        if number:
            self.writer.put(topic, NOTHING, b"%d" % number)
        else:
            self.writer.delete(topic, NOTHING)


class Scene:
    """A cluster in this process, and the store that its brokers share."""

    def __init__(self, store: WebhookStore) -> None:
        self.store = store
        self.cluster = Cluster()
        self.brokers: list[Broker] = []
        self._edges: list[Edge] = []

    async def broker(self, settings: Settings) -> Broker:
        """Start one more broker."""
        link = Link(self.cluster.store)
        member, _ = self.cluster.join(role=BROKER, link=link)
        metrics = CollectorRegistry()
        webhooks = Webhooks(
            settings, store=self.store, registry=link, membership=member, metrics=metrics
        )
        webhooks.start()
        broker = Broker(webhooks, member, link, metrics)
        self.brokers.append(broker)
        await self.cluster.until_whole()
        return broker

    async def edge(self) -> Edge:
        """Start one more edge."""
        link = Link(self.cluster.store)
        member, _ = self.cluster.join(role=EDGE, link=link, ready=False)
        edge = Edge(RegistryWriter(link, member, EdgeMetrics(CollectorRegistry())), link)
        edge.tasks = [asyncio.create_task(edge.writer.run())]
        self._edges.append(edge)
        await self.cluster.until_whole()
        return edge

    async def told(self, endpoint: str = "hook", app: str = "app") -> list[str]:
        """Return what waits for an endpoint, in short: `member_added presence-room ada`."""
        stored = await self.store.read(Queue(app, endpoint), 0, 10_000)
        return [_short(json.loads(each.body)) for each in stored]

    async def tells(
        self, expected: Sequence[str], endpoint: str = "hook", app: str = "app"
    ) -> None:
        """Wait until this waits for an endpoint, and nothing else."""
        actual: list[str] = []
        try:
            async with asyncio.timeout(WITHIN):
                while list(expected) != (actual := await self.told(endpoint, app)):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{expected} but {actual}") from None

    async def close(self) -> None:
        """Stop everything."""
        for broker in self.brokers:
            await broker.webhooks.stop()
        for edge in self._edges:
            for task in edge.tasks:
                task.cancel()
            await asyncio.gather(*edge.tasks, return_exceptions=True)
        await self.cluster.close()


@contextlib.asynccontextmanager
async def scene(store: WebhookStore | None = None) -> AsyncIterator[Scene]:
    """Set a scene, with a store in memory unless there is another one."""
    own = Scene(store or MemoryWebhookStore())
    try:
        yield own
    finally:
        await own.close()


def make_settings(*apps: dict[str, object], **changes: object) -> Settings:
    """Make settings of apps, by default of one with the endpoint `hook` for everything."""
    given = apps or (make_app(make_hook()),)
    return load_settings(None, {}, {"apps": list(given), "webhook_delay": DELAY, **changes})


def make_app(*webhooks: dict[str, object], app_id: str = "app") -> dict[str, object]:
    """Describe an app."""
    return {"id": app_id, "secret": "secret", "webhooks": list(webhooks)}


def make_hook(name: str = "hook", *events: str, **changes: object) -> dict[str, object]:
    """Describe an endpoint."""
    wanted = {"events": list(events)} if events else {}
    return {"url": NOBODY, "name": name, **wanted, **changes}


def apps_of(*apps: dict[str, object]) -> tuple[App, ...]:
    """Make apps as they are read again."""
    return make_settings(*apps).apps


def _short(event: dict[str, object]) -> str:
    about = event.get("user_id", event.get("subscription_count", ""))
    return f"{event['name']} {event['channel']} {about}".strip()
