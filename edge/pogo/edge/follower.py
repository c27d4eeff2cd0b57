"""Following topics of the registry off everyone's path: whenever it is there, some at a time."""

import asyncio

from pogo.cluster import Following, View, Views
from pogo.registry import RegistryUnavailableError
from pogo.telemetry import get_logger

_log = get_logger()

_WORKERS = 32
"""Topics that are asked for at a time."""

_RETRY_WAIT = 0.1
"""Seconds before a registry that was away is asked again."""


class _Interest:
    """That a view wants to follow a topic, until it does, or does not want to any more."""

    __slots__ = ("ended", "following", "topic", "view")

    def __init__(self, topic: str, view: View) -> None:
        self.topic = topic
        self.view = view
        self.following: Following | None = None
        self.ended = False


class Follower:
    """Keeps views following their topics, however often the registry is away.

    What waits is bounded by the views there are: one for each channel or user that clients here
    are interested in.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._interests: dict[View, _Interest] = {}
        self._waiting: asyncio.Queue[_Interest] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """How many views do not follow their topic yet."""
        return sum(interest.following is None for interest in self._interests.values())

    def follow(self, topic: str, view: View) -> None:
        """Have a view follow a topic, as soon as may be."""
        interest = self._interests[view] = _Interest(topic, view)
        self._waiting.put_nowait(interest)

    def unfollow(self, view: View) -> None:
        """Tell a view nothing more. Idempotent."""
        interest = self._interests.pop(view, None)
        if interest is not None:
            interest.ended = True
            if interest.following is not None:
                interest.following.stop()

    async def run(self) -> None:
        """Follow, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            interest = await self._waiting.get()
            if interest.ended:
                continue
            try:
                following = await self._views.follow(interest.topic, interest.view)
            except RegistryUnavailableError as error:
                _log.debug("topic waits to be followed", reason=str(error))
                await asyncio.sleep(_RETRY_WAIT)
                self._waiting.put_nowait(interest)
                continue
            except asyncio.CancelledError:
                self._waiting.put_nowait(interest)
                raise
            except Exception:  # noqa: BLE001 (a safety net: whoever waits would wait for ever)
                _log.exception("topic not followed", topic=interest.topic)
                await asyncio.sleep(_RETRY_WAIT)
                self._waiting.put_nowait(interest)
                continue
            if interest.ended:
                # Nobody wants to know any more.
                following.stop()
            else:
                interest.following = following
