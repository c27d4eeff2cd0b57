"""What an endpoint is told of channels: the difference between what is and what it was told.

Level-triggered: nothing here depends on having seen a change happen, so whoever begins to compare
knows what is to be told. Pure: no I/O, and time is passed in, in seconds of any one clock.

What was announced to an endpoint is kept in the app's ledger, a key for each point whose value is
not 0. A *fact* is a point's new value: the ledger is changed, and the endpoint gets the event if it
wants it. Source: Pusher Channels documentation, "Webhooks", also for the delay of what ends.
"""

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pogo.broker.webhooks.state import Kind, Point
from pogo.settings import Webhook, WebhookEvent

ALWAYS_TOLD = 100
"""Subscribers up to which every count is told at once."""

COUNT_INTERVAL = 5.0
"""Seconds between two counts that are told of a channel, with more subscribers than that."""

_BEGINS: dict[Kind, WebhookEvent] = {
    Kind.CHANNEL: "channel_occupied",
    Kind.MEMBER: "member_added",
    Kind.COUNT: "subscription_count",
}
_ENDS: dict[Kind, WebhookEvent] = {
    Kind.CHANNEL: "channel_vacated",
    Kind.MEMBER: "member_removed",
    Kind.COUNT: "subscription_count",
}

_Phase = tuple[Kind, bool]
"""A kind of points, and whether they end."""

_PHASES: Sequence[_Phase] = (
    (Kind.CHANNEL, False),
    (Kind.MEMBER, True),
    (Kind.MEMBER, False),
    (Kind.COUNT, False),
    (Kind.COUNT, True),
    (Kind.CHANNEL, True),
)
"""The order of facts that are told together: nobody is on a channel that is not occupied."""

MAX_DUE = 5_000
"""Facts that are looked at together; what else is due comes next."""

CHANNEL_EVENTS: Sequence[WebhookEvent] = (
    "channel_occupied",
    "channel_vacated",
    "subscription_count",
)
MEMBER_EVENTS: Sequence[WebhookEvent] = (
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
)
"""Which events the subscribers of channels, and the members of presence channels, decide."""


@dataclass(frozen=True, slots=True)
class Fact:
    """That a point has another value than was announced."""

    point: Point
    value: int

    @property
    def event(self) -> WebhookEvent:
        """The event that tells it."""
        return (_BEGINS if self.value else _ENDS)[self.point.kind]

    @property
    def entry(self) -> bytes | None:
        """What the ledger says of the point afterwards."""
        return msgspec.json.encode((self.point, self.value)) if self.value else None


_ENTRY = msgspec.json.Decoder(tuple[Point, int])


def ledger_key(endpoint: str, point: Point) -> str:
    """Name the key of a point in the ledger."""
    about = point.channel
    if point.kind is Kind.MEMBER:
        # A user's id may be long, and have any characters.
        about = hashlib.sha256(f"{point.channel} {point.user_id}".encode()).hexdigest()
    return f"{endpoint}/{point.kind}/{about}"


def read_ledger(
    ledger: Mapping[str, bytes], endpoints: Collection[str]
) -> tuple[dict[str, dict[Point, int]], list[str]]:
    """Read what was announced to each endpoint.

    Returns that, and the keys that are of no use: of endpoints that are none of these, or written
    by a version that this one does not know.
    """
    announced: dict[str, dict[Point, int]] = {endpoint: {} for endpoint in endpoints}
    useless: list[str] = []
    for key, entry in ledger.items():
        endpoint = key.partition("/")[0]
        try:
            point, value = _ENTRY.decode(entry)
        except msgspec.DecodeError:
            useless.append(key)
            continue
        if endpoint in announced:
            announced[endpoint][point] = value
        else:
            useless.append(key)
    return announced, useless


class Announcements:
    """What one endpoint was told, and what it is to be told.

    Args:
        webhook: Says which events, of which channels.
        announced: What it was told, by point.
        delay: For how long what ends has to have ended.
        not_before: When the first end may be told: whoever has only just begun to look may not
            see everything yet.
    """

    def __init__(
        self,
        webhook: Webhook,
        announced: Mapping[Point, int],
        *,
        delay: float,
        not_before: float,
    ) -> None:
        self.endpoint = webhook.name
        self._events = frozenset(webhook.events)
        self._prefixes = tuple(webhook.channel_prefixes) or ("",)
        self._delay = delay
        self._not_before = not_before
        self._announced = {
            point: value for point, value in announced.items() if self._is_told(point)
        }
        # Announced once, and of no interest any more.
        self.useless = [
            ledger_key(webhook.name, point) for point in announced if point not in self._announced
        ]
        # What is to be told; ends that may be none, in the order in which they are due; and the
        # counts that wait for their time.
        self._ready: dict[_Phase, dict[Point, None]] = {phase: {} for phase in _PHASES}
        self._ending: dict[Point, float] = {}
        self._paced: dict[Point, float] = {}
        # When the last count was told, of channels with many subscribers.
        self._counted_at: dict[Point, float] = {}

    @property
    def waiting(self) -> int:
        """How many differences there are."""
        ready = sum(map(len, self._ready.values()))
        return ready + len(self._ending) + len(self._paced)

    @property
    def points(self) -> Iterator[Point]:
        """Go through all that was announced."""
        return iter(self._announced)

    def wants(self, fact: Fact) -> bool:
        """Whether the endpoint is to be told, or only the ledger."""
        return fact.event in self._events

    def compare(
        self, points: Mapping[Point, bool], value: Callable[[Point], int], now: float
    ) -> None:
        """See which of these points have another value than was announced.

        Args:
            points: And whether each had another value than 0 since it was compared last: then it
                has not ended before.
            value: Tells the value that a point has now.
            now: The time.
        """
        for point, was_there in points.items():
            if self._is_told(point):
                if was_there:
                    self._forget(point)
                self._compare(point, value(point), now)

    def due(self, value: Callable[[Point], int], now: float) -> list[Fact]:
        """Return what is to be told now, in this order, `MAX_DUE` of it at the most."""
        ended = itertools.takewhile(lambda item: item[1] <= now, self._ending.items())
        for point, _ in list(ended):
            del self._ending[point]
            self._ready[point.kind, True][point] = None
        for point, due in list(self._paced.items()):
            if due <= now:
                del self._paced[point]
                self._ready[point.kind, False][point] = None
        facts = (
            (is_end, Fact(point, value(point)))
            for (_, is_end), points in self._ready.items()
            for point in points
        )
        # Where it has changed since it was compared, the next comparison knows.
        current = (fact for is_end, fact in facts if is_end is (fact.value == 0))
        return list(itertools.islice(current, MAX_DUE))

    def announced(self, facts: Iterable[Fact], now: float) -> None:
        """Take that facts which were due stand in the ledger."""
        for fact in facts:
            point = fact.point
            self._forget(point)
            if fact.value:
                self._announced[point] = fact.value
            else:
                self._announced.pop(point, None)
            if point.kind is Kind.COUNT and fact.value > ALWAYS_TOLD:
                self._counted_at[point] = now
            else:
                self._counted_at.pop(point, None)

    def next_due(self) -> float | None:
        """Tell when something will be due; 0 if something is, `None` if nothing will be."""
        if any(self._ready.values()):
            return 0.0
        ending = next(iter(self._ending.values()), None)
        times = [*self._paced.values(), *([] if ending is None else [ending])]
        return min(times, default=None)

    def wait_anew(self, now: float) -> None:
        """Give whoever is missing the whole time again: nobody has looked for a while."""
        due = self._end_due(now)
        self._ending = dict.fromkeys(self._ending, due)

    def _is_told(self, point: Point) -> bool:
        kind = point.kind
        is_event = _BEGINS[kind] in self._events or _ENDS[kind] in self._events
        return is_event and point.channel.startswith(self._prefixes)

    def _compare(self, point: Point, value: int, now: float) -> None:
        if value == self._announced.get(point, 0):
            self._forget(point)
        elif value == 0:
            if point not in self._ready[point.kind, True] and point not in self._ending:
                self._forget(point)
                self._ending[point] = self._end_due(now)
        else:
            self._forget(point)
            due = self._counted_at.get(point, -COUNT_INTERVAL) + COUNT_INTERVAL
            if point.kind is Kind.COUNT and value > ALWAYS_TOLD and due > now:
                self._paced[point] = due
            else:
                self._ready[point.kind, False][point] = None

    def _forget(self, point: Point) -> None:
        self._ready[point.kind, False].pop(point, None)
        self._ready[point.kind, True].pop(point, None)
        self._ending.pop(point, None)
        self._paced.pop(point, None)

    def _end_due(self, now: float) -> float:
        return max(now + self._delay, self._not_before)
