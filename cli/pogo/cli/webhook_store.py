"""The webhook store as a part of a process: it connects only where an app has webhooks."""

import asyncio
from collections.abc import Iterable

from pogo.cli.buses import open_webhook_store
from pogo.settings import App, Settings
from pogo.telemetry import get_logger
from pogo.webhooks import Endpoints

_log = get_logger()


class WebhookStorePart:
    """Makes the store that the settings ask for, and starts it when the first app has webhooks.

    Raises:
        UsageError: What it needs is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self.store = open_webhook_store(settings)
        self._endpoints = Endpoints(settings.apps, settings.webhook_url)
        self._is_wanted = False
        self._starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, or begin trying to, if any app has webhooks.

        Raises:
            WebhookStoreError: The configuration can never work.
        """
        if self._endpoints.app_ids:
            self._is_wanted = True
            await self.store.start()

    def replace_apps(self, apps: Iterable[App]) -> None:
        """Connect if these apps are the first that have webhooks."""
        self._endpoints.replace(apps)
        if self._endpoints.app_ids and not self._is_wanted:
            self._is_wanted = True
            self._starting = asyncio.create_task(self.store.start())
            self._starting.add_done_callback(_report_failure)

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.store.close()


def _report_failure(task: asyncio.Task[None]) -> None:
    """Say why there will be no webhooks: a process that serves is not stopped for it."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("the webhook store cannot be used: restart to try again", exc_info=error)
