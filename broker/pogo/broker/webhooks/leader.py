"""One app while this broker leads it: what is to be announced is committed to the store.

While what this broker sees is not known to be the cluster as it is, nothing is concluded. Nothing
that happens meanwhile is lost: afterwards the same two things are compared, what is and what was
announced.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from pogo.broker.webhooks.desk import Desk
from pogo.broker.webhooks.fact_metrics import FactMetrics
from pogo.broker.webhooks.facts import Announcements, read_ledger
from pogo.broker.webhooks.follower import AppFollower
from pogo.broker.webhooks.state import Point
from pogo.cluster import Membership
from pogo.settings import App, Webhook
from pogo.telemetry import get_logger
from pogo.webhooks import (
    DeposedError,
    Lead,
    Queue,
    QueueFullError,
    StoreUnavailableError,
    WebhookStore,
)

GATHER = 0.02
"""Seconds for which changes are gathered, to be committed together."""

TICK = 1.0
"""Seconds after which a leader looks around, whether or not anything has changed."""

STALL = 2.5
"""Seconds that nothing takes here: whoever finds them gone stood still, and has an old view."""

PART = 1_000
"""Points that are looked at before everything else has its turn."""

FULL_PAUSE = 1.0
"""Seconds before an endpoint is told more whose queue was full."""

DEPOSED_PAUSE = 1.0
"""Seconds before a broker that was deposed, and believes that it leads all the same, leads anew."""

RETRY_PAUSE = 0.2
MAX_RETRY_PAUSE = 2.0
"""Seconds before a store that was away is asked again: first, and at the most."""

FORGET_BATCH = 200
"""Keys of the ledger that are removed at a time."""

FORGET_AFTER = 600.0
"""Seconds of leading after which the ledger forgets endpoints that are not configured any more: in
a deployment, brokers with old and new settings may lead in turn."""

log = get_logger()


class Delivers(Protocol):
    """What posts the events that wait."""

    def lead(self, app: App, webhooks: Sequence[Webhook]) -> None:
        """Begin to post the events of an app to these endpoints."""

    async def release(self, app_id: str) -> None:
        """Stop it; what is under way may end. Idempotent."""


class AppLeader:
    """Announces what happens on the channels of one app.

    Args:
        app: Its settings.
        webhooks: Where it is told.
        follower: Not started yet, and the leader's own.
        delay: Seconds for which what ends has to have ended.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        app: App,
        webhooks: Sequence[Webhook],
        *,
        store: WebhookStore,
        follower: AppFollower,
        membership: Membership,
        deliveries: Delivers,
        metrics: FactMetrics,
        delay: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._webhooks = webhooks
        self._store = store
        self._follower = follower
        self._states = follower.states
        self._membership = membership
        self._deliveries = deliveries
        self._metrics = metrics
        self._delay = delay
        self._clock = clock
        self._desks: list[Desk] = []
        # Whether another broker may have led meanwhile.
        self._in_doubt = False
        # When this was last seen to run.
        self._looked_at = 0.0

    @property
    def waiting(self) -> int:
        """How many differences wait to be announced."""
        return sum(desk.announcements.waiting for desk in self._desks)

    def lead_anew(self) -> None:
        """Read again what was announced: another broker may have led meanwhile."""
        self._in_doubt = True
        self._follower.changed.set()

    async def run(self) -> None:
        """Lead, until cancelled. Deliveries go on then, until they are released."""
        pause = RETRY_PAUSE
        try:
            await self._follower.start(self._webhooks)
            while True:
                began = self._clock()
                try:
                    await self._lead()
                except DeposedError as error:
                    log.warning(
                        "webhooks are led elsewhere", app_id=self._app.id, reason=str(error)
                    )
                    self._desks = []
                    await self._deliveries.release(self._app.id)
                    await asyncio.sleep(DEPOSED_PAUSE)
                except StoreUnavailableError as error:
                    if self._clock() - began > MAX_RETRY_PAUSE:
                        pause = RETRY_PAUSE
                    log.debug("webhooks wait for the store", app_id=self._app.id, reason=str(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, MAX_RETRY_PAUSE)
        finally:
            self._follower.stop()

    async def _lead(self) -> None:
        """Take the lead, and announce for as long as nobody else may have it.

        Raises:
            DeposedError: Another broker leads by now.
            StoreUnavailableError: The store is away.
        """
        app_id = self._app.id
        self._in_doubt = False
        lead, ledger = await self._store.lead(app_id)
        webhooks = self._webhooks
        self._deliveries.lead(self._app, webhooks)
        announced, useless = await _read(ledger, [webhook.name for webhook in webhooks])
        log.info("looks after the webhooks of an app", app_id=app_id, known=len(ledger))
        while not self._membership.is_settled:
            await self._changed()
        if self._in_doubt:
            return
        self._desks = [self._desk(webhook, announced[webhook.name]) for webhook in webhooks]
        for desk in self._desks:
            useless += desk.announcements.useless
        await self._compare(everything=True)
        await self._announce(lead, useless)

    def _desk(self, webhook: Webhook, announced: Mapping[Point, int]) -> Desk:
        # A registry that began anew may not have everybody yet, and nobody here would know.
        not_before = self._clock() + max(self._delay, self._membership.timing.dead_after)
        announcements = Announcements(webhook, announced, delay=self._delay, not_before=not_before)
        return Desk(announcements, Queue(self._app.id, webhook.name))

    async def _announce(self, lead: Lead, useless: list[str]) -> None:
        """Announce whatever is to be announced."""
        began = ticked_at = self._looked_at = self._clock()
        while not self._in_doubt:
            if self._membership.is_settled:
                now = self._look()
                if now - ticked_at >= TICK:
                    self._states.members.tick()
                    ticked_at = now
                await self._compare(everything=False)
                await self._commit_due(lead)
                if now - began >= FORGET_AFTER:
                    await self._forget(lead, useless)
            await self._changed()
            self._look()

    def _look(self) -> float:
        """Tell the time; who finds that this process stood still waits anew for who is missing."""
        now = self._clock()
        if now - self._looked_at > STALL:
            for desk in self._desks:
                desk.announcements.wait_anew(now)
        self._looked_at = now
        return now

    async def _changed(self) -> None:
        """Wait until something has changed, or will be due."""
        changed = self._follower.changed
        now = self._clock()
        pause = TICK
        if self._membership.is_settled:
            pause = min([TICK, *(due - now for desk in self._desks for due in desk.next_due())])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(pause, GATHER)):
                await changed.wait()
                await asyncio.sleep(GATHER)
        changed.clear()

    async def _compare(self, *, everything: bool) -> None:
        """See which points have another value than was announced, some at a time.

        Where it is not settled any more, the rest is left: everything is compared again then.
        """
        changed = self._states.take_changed()
        for desk in self._desks:
            announcements = desk.announcements
            if everything:
                points = itertools.chain(self._states.points(), announcements.points)
                changed = dict.fromkeys(points, False)
            for part in _parts(changed):
                if not self._membership.is_settled:
                    return
                announcements.compare(part, self._states.value, self._clock())
                await asyncio.sleep(0)

    async def _commit_due(self, lead: Lead) -> None:
        """Announce what is due: to each endpoint in turn, so that none waits long for another."""
        if not self._membership.is_settled:
            return
        open_desks = [desk for desk in self._desks if desk.closed_until <= self._clock()]
        for desk in open_desks:
            desk.facts = desk.announcements.due(self._states.value, self._clock())
        while any(desk.facts for desk in open_desks):
            for desk in open_desks:
                if desk.facts:
                    await self._commit_some(lead, desk)

    async def _commit_some(self, lead: Lead, desk: Desk) -> None:
        batch = desk.next_batch()
        try:
            await self._store.commit(lead, batch.changes, batch.items)
        except QueueFullError as error:
            if not desk.smaller(len(batch.facts)):
                desk.close(self._look() + FULL_PAUSE, str(error))
            return
        desk.committed(batch.facts, self._look())
        self._metrics.queued(fact.event for fact in batch.facts if desk.announcements.wants(fact))

    async def _forget(self, lead: Lead, useless: list[str]) -> None:
        """Remove from the ledger what is of no use any more."""
        while useless:
            keys, useless[:FORGET_BATCH] = useless[:FORGET_BATCH], []
            await self._store.commit(lead, dict.fromkeys(keys), [])


async def _read(
    ledger: Mapping[str, bytes], endpoints: Sequence[str]
) -> tuple[dict[str, dict[Point, int]], list[str]]:
    """Read what was announced to each endpoint, and the keys of no use, some at a time."""
    announced: dict[str, dict[Point, int]] = {endpoint: {} for endpoint in endpoints}
    useless: list[str] = []
    for part in _parts(ledger):
        found, rest = read_ledger(part, endpoints)
        for endpoint in endpoints:
            announced[endpoint] |= found[endpoint]
        useless += rest
        await asyncio.sleep(0)
    return announced, useless


_K = TypeVar("_K")
_V = TypeVar("_V")


def _parts(mapping: Mapping[_K, _V]) -> Iterator[dict[_K, _V]]:
    """Take a mapping apart, so that everything else has its turn in between."""
    items = iter(mapping.items())
    while part := dict(itertools.islice(items, PART)):
        yield part
