"""Following topics of the registry off everyone's path: whenever it is there, some at a time."""

import asyncio
from dataclasses import dataclass

from pogo.cluster import Following, View, Views
from pogo.registry import RegistryUnavailableError
from pogo.registry.concurrency import for_each
from pogo.telemetry import get_logger

_log = get_logger()

_AT_ONCE = 32
"""Topics that are asked for at a time."""

_RETRY_WAIT = 0.2
"""Seconds before a registry that was away is asked again."""


@dataclass(slots=True)
class _Interest:
    topic: str
    following: Following | None = None


class Follower:
    """Keeps views following their topics, however often the registry is away."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._interests: dict[View, _Interest] = {}
        # Those that do not follow yet.
        self._waiting: dict[View, None] = {}
        self._wake = asyncio.Event()

    def follow(self, topic: str, view: View) -> None:
        """Have a view follow a topic, as soon as may be."""
        self._interests[view] = _Interest(topic)
        self._waiting[view] = None
        self._wake.set()

    def unfollow(self, view: View) -> None:
        """Tell a view nothing more. Idempotent."""
        self._waiting.pop(view, None)
        interest = self._interests.pop(view, None)
        if interest is not None and interest.following is not None:
            interest.following.stop()

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            self._wake.clear()
            try:
                await for_each(list(self._waiting), self._follow, at_once=_AT_ONCE)
            except RegistryUnavailableError as error:
                _log.debug("topics wait to be followed", reason=str(error))
                await asyncio.sleep(_RETRY_WAIT)
            if not self._waiting:
                await self._wake.wait()

    async def _follow(self, view: View) -> None:
        interest = self._interests.get(view)
        if interest is None:
            return
        following = await self._views.follow(interest.topic, view)
        if self._interests.get(view) is not interest:
            # Nobody wants to know any more.
            following.stop()
            return
        interest.following = following
        self._waiting.pop(view, None)
