"""How much an app may publish and ask for in a second, on this broker.

What an app is allowed is shared out: each of the live brokers allows its part, whatever the others
do, so that none has to ask another. The whole is allowed where callers spread their calls evenly,
as a load balancer does; while brokers come and go, it is exceeded or missed for some seconds.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics, RateKind
from pogo.cluster import LiveNodes
from pogo.pusher.rates import share
from pogo.settings import App


@dataclass(frozen=True, slots=True)
class Standing:
    """How an app stands with one of its limits on this broker."""

    limit: int
    """How many it may have at once: its part of a second, at least 1."""
    remaining: int
    """How many of them are left."""
    reset: float
    """Seconds until all of them are there again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was not let through, and when it would be."""

    kind: RateKind
    rate: float
    """What the app is allowed in a second by all brokers together."""
    retry_after: float
    """Seconds, more than 0."""

    @property
    def detail(self) -> str:
        """Say it to people."""
        return (
            f"the app has reached its rate of {self.rate:g} {self.kind} a second: "
            f"try again in {self.retry_after_ms} ms"
        )

    @property
    def retry_after_ms(self) -> int:
        """Whole milliseconds, at least 1."""
        return max(1, math.ceil(self.retry_after * 1000))


class AppRates:
    """What each app has had of its rates, here. An app without a rate costs a comparison."""

    def __init__(
        self,
        brokers: LiveNodes,
        metrics: BrokerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._brokers = brokers
        self._metrics = metrics
        self._clock = clock
        # The rate that each app had, and when all it has had of it will be paid for.
        self._owed: dict[tuple[str, RateKind], tuple[float, float]] = {}

    def limits(self, app: App, kind: RateKind) -> bool:
        """Whether an app has a rate of this kind."""
        return _rate(app, kind) >= 0

    def take_events(self, app: App, count: int) -> Refusal | None:
        """Let `count` events be published, each on one channel, or return why not.

        More than a broker allows at once are let through where nothing is owed; then nothing is,
        until they are paid for.
        """
        return self._take(app, "events", count)

    def take_reads(self, app: App) -> Refusal | None:
        """Let one question be asked, or return why not."""
        return self._take(app, "reads", 1)

    def standing(self, app: App, kind: RateKind) -> Standing | None:
        """Tell how an app stands with one of its limits; `None` where it has none."""
        rate = _rate(app, kind)
        if rate < 0:
            return None
        limit = share(rate, self._brokers.sharing)
        now, busy_until = self._clock(), self._busy_until(app, kind, rate)
        reset = max(busy_until - now, 0.0)
        return Standing(limit.burst, limit.remaining(busy_until, now), reset)

    def keep(self, apps: Iterable[App]) -> None:
        """Forget what other apps have had."""
        kept = {app.id for app in apps}
        self._owed = {key: owed for key, owed in self._owed.items() if key[0] in kept}

    def _take(self, app: App, kind: RateKind, count: int) -> Refusal | None:
        rate = _rate(app, kind)
        if rate < 0:
            return None
        limit = share(rate, self._brokers.sharing)
        now, busy_until = self._clock(), self._busy_until(app, kind, rate)
        after = limit.take_many(busy_until, now, count)
        if after is None:
            self._metrics.rate_limited(kind)
            return Refusal(kind, rate, limit.wait(busy_until, now, count))
        self._owed[app.id, kind] = rate, after
        return None

    def _busy_until(self, app: App, kind: RateKind, rate: float) -> float:
        """Tell when all will be paid for; what was had at another rate is forgiven."""
        had_at, busy_until = self._owed.get((app.id, kind), (rate, 0.0))
        return busy_until if had_at == rate else 0.0


def count_messages(events: Sequence[Event], max_channels: int) -> int:
    """Count events as a rate does: once for each channel.

    An event with more channels than it may have is published on none, and counts once.
    """
    return sum(_channels(event.channels, max_channels) for event in events)


def _channels(channels: Collection[str], limit: int) -> int:
    count = len(channels) if len(channels) < 2 else len(set(channels))  # noqa: PLR2004 (one is usual)
    return count if 0 < count <= limit else 1


def _rate(app: App, kind: RateKind) -> float:
    return app.event_rate if kind == "events" else app.read_rate
