"""Following the channels of one app in the registry."""

import asyncio
from collections.abc import Sequence

from pogo.broker.webhooks.facts import CHANNEL_EVENTS, MEMBER_EVENTS
from pogo.broker.webhooks.state import ChannelStates
from pogo.cluster import Following, View, Views
from pogo.registry import RegistryUnavailableError
from pogo.registry.keys import app_counts_topic, app_presence_topic
from pogo.settings import Webhook
from pogo.telemetry import get_logger

_RETRY_WAIT = 0.5
"""Seconds before a registry that was away is asked again."""

_log = get_logger()


class AppFollower:
    """Keeps up to date what is, on the channels of an app, as far as its endpoints want to know."""

    def __init__(self, app_id: str, views: Views, max_members: int) -> None:
        self._app_id = app_id
        self._views = views
        self._followings: list[Following] = []
        self.changed = asyncio.Event()
        """Set when something may have changed."""
        self.states = ChannelStates(max_members, self.changed.set)

    async def start(self, webhooks: Sequence[Webhook]) -> None:
        """Begin to follow, as soon as the registry is there; what there is has been seen then."""
        wanted = {event for webhook in webhooks for event in webhook.events}
        if not wanted.isdisjoint(CHANNEL_EVENTS):
            await self._follow(app_counts_topic(self._app_id), self.states.subscribers)
        if not wanted.isdisjoint(MEMBER_EVENTS):
            await self._follow(app_presence_topic(self._app_id), self.states.members)

    def stop(self) -> None:
        """Follow no more. Idempotent."""
        for following in self._followings:
            following.stop()

    async def _follow(self, topic: str, view: View) -> None:
        while True:
            try:
                self._followings.append(await self._views.follow(topic, view))
            except RegistryUnavailableError as error:
                _log.debug("webhooks wait for the registry", topic=topic, reason=str(error))
                await asyncio.sleep(_RETRY_WAIT)
            else:
                return
