"""The endpoints of the apps that this broker leads, each with a task of its own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from pogo.broker.webhooks.endpoint import PACE, Endpoint, Pace
from pogo.broker.webhooks.metrics import DeliveryMetrics
from pogo.broker.webhooks.post import Poster, Target
from pogo.settings import App, Settings, Webhook
from pogo.telemetry import get_logger
from pogo.webhooks import CONFIRM_TIMEOUT, Queue, WebhookStore

LEAVE_CALLS = 3
"""Calls of the store, of `CONFIRM_TIMEOUT` each, that an endpoint has beside the rest of its
request to come to an end; then it is cut off."""

log = get_logger()


class Deliveries:
    """Takes events from the store to the endpoints of some apps.

    At least once and in the order of the queue: events leave the store when an endpoint has taken
    them, and whoever leads the app next posts again what was on its way.

    Args:
        store: Where the events wait; the caller starts and closes it.
        clock: Tells the time of day, in seconds.
    """

    def __init__(
        self,
        store: WebhookStore,
        settings: Settings,
        metrics: DeliveryMetrics,
        *,
        pace: Pace = PACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._pace = pace
        self._poster = Poster(
            timeout=settings.webhook_timeout,
            private_addresses=settings.webhook_private_addresses,
            clock=clock,
        )
        self._endpoints: dict[Queue, Endpoint] = {}
        self._leave_within = settings.webhook_timeout + LEAVE_CALLS * CONFIRM_TIMEOUT
        store.listen(self._hint)

    def lead(self, app: App, webhooks: Sequence[Webhook]) -> None:
        """Deliver to these endpoints of an app, and to no other one of it.

        Called again when its settings have changed: a new URL, new headers or another secret count
        from the next attempt on. Endpoints that are not named any more finish the request they are
        in, and their events stay in the store.
        """
        wanted = {Queue(app.id, webhook.name): webhook for webhook in webhooks}
        for queue, endpoint in self._endpoints.items():
            if queue.app_id == app.id and queue not in wanted:
                endpoint.leave()
        for queue, webhook in wanted.items():
            target = Target.of(app, webhook, self._settings)
            known = self._endpoints.get(queue)
            if known is not None and not known.task.done():
                known.aim(target)
            else:
                self._begin(queue, target)

    async def release(self, app_id: str) -> None:
        """Deliver nothing more of an app. Idempotent.

        Returns when its requests have ended, which takes `webhook_timeout` and a little more at the
        most. What they have not delivered is in the store.
        """
        await self._leave([end for queue, end in self._endpoints.items() if queue.app_id == app_id])

    async def stop(self) -> None:
        """Release all apps, and close the connections. Idempotent.

        A caller who waits no longer, and cancels it, cuts the requests off.
        """
        endpoints = list(self._endpoints.values())
        try:
            await self._leave(endpoints)
        finally:
            await _cut_off(endpoints)
            await self._poster.close()

    def _begin(self, queue: Queue, target: Target) -> None:
        endpoint = self._endpoints[queue] = Endpoint(
            queue,
            target,
            store=self._store,
            poster=self._poster,
            settings=self._settings,
            metrics=self._metrics,
            pace=self._pace,
        )
        endpoint.task.add_done_callback(partial(self._ended, endpoint))

    async def _leave(self, endpoints: Sequence[Endpoint]) -> None:
        for endpoint in endpoints:
            endpoint.leave()
        if not endpoints:
            return
        tasks = [endpoint.task for endpoint in endpoints]
        await asyncio.wait(tasks, timeout=self._leave_within)
        # One may have been led again meanwhile.
        await _cut_off([endpoint for endpoint in endpoints if endpoint.is_leaving])

    def _ended(self, endpoint: Endpoint, task: asyncio.Task[None]) -> None:
        if self._endpoints.get(endpoint.queue) is endpoint:
            del self._endpoints[endpoint.queue]
            self._metrics.end(endpoint.queue)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("an endpoint of webhooks is served no more", exc_info=error)

    def _hint(self, queue: Queue) -> None:
        endpoint = self._endpoints.get(queue)
        if endpoint is not None:
            endpoint.hint()


async def _cut_off(endpoints: Sequence[Endpoint]) -> None:
    """End what is not over yet; those that are over say for themselves how they ended."""
    for endpoint in endpoints:
        endpoint.task.cancel()
    await asyncio.gather(*(endpoint.task for endpoint in endpoints), return_exceptions=True)
