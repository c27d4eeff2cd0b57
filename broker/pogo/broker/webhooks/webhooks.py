"""The webhooks that this broker looks after: those of the apps that it leads."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from pogo.broker.webhooks.delivery import Deliveries
from pogo.broker.webhooks.fact_metrics import FactMetrics
from pogo.broker.webhooks.follower import AppFollower
from pogo.broker.webhooks.leader import AppLeader
from pogo.broker.webhooks.leadership import leader_of
from pogo.broker.webhooks.metrics import DeliveryMetrics
from pogo.cluster import BROKER, Listener, Membership, Views
from pogo.registry import Registry
from pogo.settings import App, Settings, Webhook
from pogo.telemetry import get_logger
from pogo.webhooks import Endpoints, WebhookStore

RESTART_PAUSE = 1.0
"""Seconds before an app is led anew whose leader failed."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Led:
    """One app that is led here."""

    app: App
    webhooks: tuple[Webhook, ...]
    leader: AppLeader
    task: asyncio.Task[None]


class Webhooks(Listener):
    """Leads each app that has webhooks while it is this broker's to lead.

    The store, the registry and the membership are the caller's: started before `start`, and closed
    after `stop`. Where no app has webhooks, the store need not be there.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: WebhookStore,
        registry: Registry,
        membership: Membership,
        metrics: CollectorRegistry,
    ) -> None:
        self._settings = settings
        self._store = store
        self._membership = membership
        self._deliveries = Deliveries(store, settings, DeliveryMetrics(metrics))
        self._metrics = FactMetrics(metrics)
        self._views = Views(registry, membership)
        self._endpoints = Endpoints(settings.apps, settings.webhook_url)
        self._apps = {app.id: app for app in settings.apps}
        self._led: dict[str, _Led] = {}
        # The names of the brokers that live.
        self._brokers: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # What lets requests end that are under way.
        self._releasing: set[asyncio.Task[None]] = set()
        self._metrics.watch(
            differences=lambda: sum(led.leader.waiting for led in self._led.values()),
            apps=lambda: len(self._led),
        )

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Look after the webhooks of these apps from now on."""
        apps = tuple(apps)
        self._endpoints.replace(apps)
        self._apps = {app.id: app for app in apps}
        self._wake.set()

    def start(self) -> None:
        """Begin to lead; before the membership starts."""
        self._membership.add_listener(self)
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_report_failure)

    async def stop(self) -> None:
        """Lead no more; what is being posted may end. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._end(list(self._led))
        await self._deliveries.stop()
        await asyncio.gather(*self._releasing, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            # Until it is settled who lives, everybody goes on with what they led.
            if self._membership.is_settled:
                await self._share_out()
            await self._wake.wait()

    async def _share_out(self) -> None:
        """Lead what is to be led here, with the settings of now, and nothing else."""
        ended = [app_id for app_id in self._led if not self._is_led(app_id)]
        await self._end(ended)
        for app_id in self._endpoints.app_ids:
            if app_id not in self._led and self._is_mine(app_id):
                self._lead(app_id)
        for app_id in ended:
            if app_id not in self._led:
                self._release(app_id)

    def _is_mine(self, app_id: str) -> bool:
        """Whether this broker is to lead an app."""
        brokers = self._membership.nodes.of_role(BROKER)
        leader = leader_of(app_id, {node.state.process for node in brokers})
        return leader == self._membership.process

    def _is_led(self, app_id: str) -> bool:
        """Whether an app is led as it should be: here, and with the settings of now."""
        led = self._led[app_id]
        app, webhooks = self._apps.get(app_id), self._endpoints.of(app_id)
        is_current = led.app == app and led.webhooks == webhooks and bool(webhooks)
        return is_current and not led.task.done() and self._is_mine(app_id)

    def _lead(self, app_id: str) -> None:
        app, webhooks = self._apps[app_id], self._endpoints.of(app_id)
        leader = AppLeader(
            app,
            webhooks,
            store=self._store,
            follower=AppFollower(app_id, self._views, self._settings.max_presence_members),
            membership=self._membership,
            deliveries=self._deliveries,
            metrics=self._metrics,
            delay=self._settings.webhook_delay,
        )
        task = asyncio.create_task(leader.run())
        task.add_done_callback(partial(self._ended, app_id))
        self._led[app_id] = _Led(app, webhooks, leader, task)

    async def _end(self, app_ids: Iterable[str]) -> None:
        """Announce nothing more of these apps."""
        tasks = [self._led.pop(app_id).task for app_id in app_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _release(self, app_id: str) -> None:
        """Post no more events of an app, which may take as long as a request does."""
        task = asyncio.create_task(self._deliveries.release(app_id))
        self._releasing.add(task)
        task.add_done_callback(self._released)

    def _released(self, task: asyncio.Task[None]) -> None:
        self._releasing.discard(task)
        _report_failure(task)

    def _ended(self, app_id: str, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("webhooks failed and start again", app_id=app_id, exc_info=error)
            asyncio.get_running_loop().call_later(RESTART_PAUSE, self._wake.set)

    def _brokers_changed(self) -> None:
        """See again who leads what. Whoever went may have led what is led here, for a moment."""
        for led in self._led.values():
            led.leader.lead_anew()
        self._wake.set()

    # What the membership tells

    def node_up(self, name: str) -> None:
        """Take a node that lives: a broker has a share."""
        node = self._membership.nodes.get(name)
        if node is not None and node.role == BROKER:
            self._brokers.add(name)
            self._brokers_changed()

    def node_down(self, name: str) -> None:
        """Take one that does not live any more."""
        if name in self._brokers:
            self._brokers.remove(name)
            self._brokers_changed()

    def settled(self) -> None:
        """Take that it is known again who lives: this broker may have been taken for dead."""
        self._brokers_changed()


def _report_failure(task: asyncio.Task[None]) -> None:
    """See to it that the task does not fail unseen."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("webhooks failed", exc_info=error)
