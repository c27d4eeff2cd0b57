"""`POST /apps/{id}/events` and `batch_events`: to the publisher, and what it says."""

from collections.abc import Iterable, Sequence

from pogo.broker.events import Event
from pogo.broker.http.answers import DONE, Answer, tell
from pogo.broker.http.errors import ApiError, BadRequestError, PublishError
from pogo.broker.http.info import describe
from pogo.broker.http.rates import RateLimitedError
from pogo.broker.http.requests import parse_batch, parse_trigger
from pogo.broker.message_ids import MAX_LENGTH, ConflictError
from pogo.broker.publisher import Publisher
from pogo.broker.rates import AppRates, count_messages
from pogo.broker.repeats import Repeats
from pogo.broker.status import Outcome
from pogo.bus import BusError
from pogo.cluster import ChannelCount, Channels, ClusterQueries, TooManyQuestionsError
from pogo.rpc.v1.status import StatusCode
from pogo.settings import App, Settings

_NOBODY = ChannelCount(0, 0)

_WORST_FIRST = (
    StatusCode.PAYLOAD_TOO_LARGE,
    StatusCode.CHANNEL_TOO_LONG,
    StatusCode.EVENT_TOO_LONG,
    StatusCode.INVALID_PAYLOAD_JSON,
    StatusCode.INVALID_MULTI_CHANNEL_JSON,
    StatusCode.BROKER_PUBLISH_FAILED,
    StatusCode.HUB_MISSING,
    StatusCode.BROKER_QUEUE_FULL,
    StatusCode.SHARD_QUEUE_FULL,
)
"""What will never be published is worse than what may have been, and that than what was not."""


class Publishing:
    """Publishes what back ends send."""

    def __init__(
        self,
        settings: Settings,
        *,
        publisher: Publisher,
        repeats: Repeats,
        queries: ClusterQueries,
        rates: AppRates,
    ) -> None:
        self._publisher = publisher
        self._repeats = repeats
        self._queries = queries
        self._rates = rates
        self._max_channels = settings.max_channels
        self._max_items = settings.max_http_batch

    async def trigger(self, app: App, body: bytes, key: str) -> Answer:
        """Publish one event.

        Args:
            app: Whose event it is.
            body: The request's.
            key: Names the event across retries; empty for none.

        Raises:
            ApiError: It is not published, or perhaps not.
        """
        event, info = parse_trigger(app.id, body, _check_key(key))
        [outcome] = await self._publish(app, [event], key)
        if outcome.status:
            raise PublishError(outcome)
        if not info:
            return DONE
        counts = await self._count(app, event.channels)
        told = {
            name: describe(info, name, counts.by_name.get(name, _NOBODY)) for name in event.channels
        }
        return tell({"channels": told}, complete=counts.complete)

    async def trigger_batch(self, app: App, body: bytes, key: str) -> Answer:
        """Publish up to `max_http_batch` events, in order: all that could be published, or none.

        Args:
            app: Whose events they are.
            body: The request's.
            key: Names all events together across retries; empty for none.

        Raises:
            ApiError: Not all are published, or perhaps not.
        """
        triggers = parse_batch(app.id, body, self._max_items)
        events = [event for event, _ in triggers]
        for index, event in enumerate(events):
            refusal = self._publisher.judge(event, json_data=False)
            if refusal is not None:
                raise PublishError(refusal, index)
        _raise_worst(await self._publish(app, events, _check_key(key)))
        names = {event.channels[0] for event, info in triggers if info}
        if not names:
            return DONE
        counts = await self._count(app, names)
        told = [
            describe(info, event.channels[0], counts.by_name.get(event.channels[0], _NOBODY))
            for event, info in triggers
        ]
        return tell({"batch": told}, complete=counts.complete)

    async def _publish(self, app: App, events: Sequence[Event], key: str) -> list[Outcome]:
        """Publish, at most once what has a key, and nothing where the app has reached its rate."""
        self._limit(app, events)
        if not key or not events:
            return await self._publisher.publish(events, json_data=False)
        try:
            return await self._repeats.publish(app.id, events, json_data=False, message_id=key)
        except ConflictError:
            raise ApiError(409, "the X-Idempotency-Key was used for another request") from None

    def _limit(self, app: App, events: Sequence[Event]) -> None:
        """Let events of an app be published, unless it has published as much as it may.

        Raises:
            RateLimitedError: It has.
        """
        if self._rates.limits(app, "events"):
            refusal = self._rates.take_events(app, count_messages(events, self._max_channels))
            if refusal is not None:
                raise RateLimitedError(refusal)

    async def _count(self, app: App, names: Iterable[str]) -> Channels:
        """Count channels. The events are published, so that this does not fail the request."""
        try:
            return await self._queries.named(app.id, names)
        except (BusError, TooManyQuestionsError):
            return Channels({}, complete=False)


def _raise_worst(outcomes: Sequence[Outcome]) -> None:
    failed = [index for index, outcome in enumerate(outcomes) if outcome.status]
    if failed:
        worst = min(failed, key=lambda index: _WORST_FIRST.index(outcomes[index].status))
        raise PublishError(outcomes[worst], worst)


def _check_key(key: str) -> str:
    if len(key) > MAX_LENGTH or not (key.isascii() and key.isprintable()):
        raise BadRequestError(f"X-Idempotency-Key is not {MAX_LENGTH} ASCII characters or fewer")
    return key
