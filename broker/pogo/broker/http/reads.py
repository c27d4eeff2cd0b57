"""What back ends ask of the cluster, and the ending of a user's connections."""

from collections.abc import Mapping

from pogo.broker.cache import CachedEvents
from pogo.broker.http.answers import DONE, Answer, tell
from pogo.broker.http.errors import BadRequestError, UnavailableError
from pogo.broker.http.info import (
    CHANNEL_INFO,
    LIST_INFO,
    check_channel_info,
    check_list_info,
    describe,
    parse_info,
)
from pogo.cluster import ClusterQueries
from pogo.pusher.channels import (
    SERVER_TO_USER,
    ChannelNameError,
    channel_kind,
    check_channel_name,
)
from pogo.settings import App, Settings

MAX_USER_ID = 200
"""Characters of a user's id, as Pusher's server SDKs allow."""


class Reads:
    """Answers what the edges of the cluster know.

    Every method may raise an `ApiError`, and what `ClusterQueries` and `CachedEvents` raise.
    """

    def __init__(
        self, settings: Settings, queries: ClusterQueries, cached_events: CachedEvents
    ) -> None:
        self._queries = queries
        self._cached_events = cached_events
        self._max_channel_length = settings.max_channel_length

    async def channels(self, app: App, parameters: Mapping[str, str]) -> Answer:
        """Tell which channels are occupied."""
        prefix = parameters.get("filter_by_prefix", "")
        info = parse_info(parameters.get("info"), LIST_INFO)
        check_list_info(info, prefix)
        found = await self._queries.channels(app.id, prefix)
        told = {
            name: describe(info, name, count)
            for name, count in sorted(found.by_name.items())
            # Its users are nobody's channel.
            if not name.startswith(SERVER_TO_USER)
        }
        return tell({"channels": told}, complete=found.complete)

    async def channel(self, app: App, name: str, parameters: Mapping[str, str]) -> Answer:
        """Tell whether a channel is occupied, and more of it."""
        self._check_name(name)
        info = parse_info(parameters.get("info"), CHANNEL_INFO)
        check_channel_info(info, name)
        count, complete = await self._queries.channel(app.id, name)
        told: dict[str, object] = {"occupied": count.subscriptions > 0}
        if "cache" in info:
            cached = await self._cached_events.get(app.id, name)
            told["cache"] = cached and {"data": cached.data, "ttl": cached.ttl}
        return tell(told | describe(info, name, count), complete=complete)

    async def users(self, app: App, name: str) -> Answer:
        """Tell who is on a presence channel."""
        self._check_name(name)
        if not channel_kind(name).is_presence:
            raise BadRequestError("only presence channels have users")
        found = await self._queries.members(app.id, name)
        return tell(
            {"users": [{"id": each} for each in sorted(found.ids)]}, complete=found.complete
        )

    async def connections(self, app: App) -> Answer:
        """Count the connections of an app."""
        found = await self._queries.connections(app.id)
        return tell({"connections": found.count}, complete=found.complete)

    async def terminate(self, app: App, user_id: str) -> Answer:
        """Close all connections of a user."""
        if len(user_id) > MAX_USER_ID or not user_id.isprintable():
            raise BadRequestError(
                f"a user's id has at most {MAX_USER_ID} characters, all printable"
            )
        closed = await self._queries.terminate(app.id, user_id)
        if not closed.complete:
            raise UnavailableError("not all edges have answered: some connections may be left")
        return DONE

    def _check_name(self, name: str) -> None:
        try:
            check_channel_name(name, self._max_channel_length)
        except ChannelNameError as error:
            raise BadRequestError(str(error)) from None
