"""The views of one process: each follows a topic, and all of them follow the nodes."""

from collections.abc import Callable

from pogo.cluster.feed import LiveFeed, View
from pogo.cluster.listener import Listener
from pogo.cluster.membership import Membership
from pogo.registry import Registry, Watch
from pogo.telemetry import get_logger

_log = get_logger()


class Following:
    """One view's interest in one topic, as `follow` returned it."""

    __slots__ = ("_views", "_watch", "feed")

    def __init__(self, views: "Views", feed: LiveFeed, watch: Watch) -> None:
        self._views = views
        self.feed = feed
        self._watch = watch

    def stop(self) -> None:
        """End it: the view is told nothing more. Idempotent."""
        self._watch.stop()
        self._views.forget(self.feed)


class Views(Listener):
    """Keeps views up to date with the entries of live nodes."""

    def __init__(self, registry: Registry, membership: Membership) -> None:
        self._registry = registry
        self._membership = membership
        self._feeds: dict[LiveFeed, None] = {}
        membership.add_listener(self)

    async def follow(self, topic: str, view: View) -> Following:
        """Keep a view up to date; it has been given what there is when this returns.

        Raises:
            RegistryUnavailableError: The registry is away.
        """
        membership = self._membership
        feed = LiveFeed(
            view,
            lives=membership.lives,
            settled=lambda: membership.is_settled,
            stranger=membership.stranger,
        )
        self._feeds[feed] = None
        try:
            watch = await self._registry.watch(topic, feed)
        except BaseException:
            self.forget(feed)
            raise
        return Following(self, feed, watch)

    def forget(self, feed: LiveFeed) -> None:
        """Tell a view nothing more."""
        self._feeds.pop(feed, None)

    def node_up(self, name: str) -> None:
        """Count what a node wrote, in every view."""
        self._tell(lambda feed: feed.node_up(name))

    def node_down(self, name: str) -> None:
        """Count it no more."""
        self._tell(lambda feed: feed.node_down(name))

    def settled(self) -> None:
        """Let every view tell others."""
        self._tell(LiveFeed.settle)

    def _tell(self, tell: Callable[[LiveFeed], None]) -> None:
        for feed in list(self._feeds):
            try:
                tell(feed)
            except Exception:  # noqa: BLE001 (a safety net)
                # Views promise not to raise; if one does, the others have to know all the same.
                _log.exception("view failed")
