"""The background tasks that an edge cannot do without."""

import asyncio
from collections.abc import Awaitable, Callable

from pogo.telemetry import get_logger

_log = get_logger()

_RESTART_WAIT = 1.0
"""Seconds before a background task that failed is started again."""


class Tasks:
    """Owns the tasks, sees their exceptions, and starts again those that fail."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run something in the background until `stop`; a failure is logged by the name."""
        self._tasks.append(asyncio.create_task(_keep_running(name, run)))

    async def stop(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a background task for as long as the edge lives, whatever happens to it."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001 - the safety net of a task the edge cannot do without
            _log.exception("edge task failed and starts again", task=name)
        await asyncio.sleep(_RESTART_WAIT)
