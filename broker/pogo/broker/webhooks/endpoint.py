"""One endpoint: its queue is posted batch after batch, one request at a time."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pogo.broker.webhooks.metrics import DeliveryMetrics
from pogo.broker.webhooks.patience import Patience
from pogo.broker.webhooks.post import Poster, PostError, Target
from pogo.settings import Settings
from pogo.telemetry import get_logger
from pogo.webhooks import Queue, Stored, WebhookStore, WebhookStoreError

MAX_BODY = 262_144
"""Bytes of the events of one request, unless a single one has more: a quarter of what nginx takes
without being told to."""

REPEATED = 2
"""How often an endpoint says in a row that a request is wrong (4xx) until it gets fewer events at a
time. So one that it can never take ends up alone, and is dropped alone."""

LOUD = 3
"""Failures in a row after which it is logged that an endpoint fails: one now and then is counted,
and nobody need read of it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are tried, in seconds."""

    first_retry: float = 1.0
    longest_retry: float = 30.0
    """The pause after the first failure, and after many, at the most: each is twice as long as the
    one before, and of that a random part (full jitter), so that brokers do not come back as one."""
    look_every: float = 5.0
    """Between looks into a queue of which nothing was heard: a hint may have been missed."""


PACE = Pace()

log = get_logger()


class Endpoint:
    """Posts what is in one queue, in order, for as long as it is told to.

    It holds one batch at a time. What it does not know is in the store: it reads the head of the
    queue before each attempt, and removes what the endpoint has taken.
    """

    def __init__(
        self,
        queue: Queue,
        target: Target,
        *,
        store: WebhookStore,
        poster: Poster,
        settings: Settings,
        metrics: DeliveryMetrics,
        pace: Pace,
    ) -> None:
        self.queue = queue
        self._target = target
        self._store = store
        self._poster = poster
        self._metrics = metrics
        self._pace = pace
        self._max_batch = settings.webhook_batch_size
        self._batch_wait = settings.webhook_batch_wait
        self._patience = Patience(settings.webhook_retry_for)
        self._stored = asyncio.Event()
        self._nudged = asyncio.Event()
        self.is_leaving = False
        # How many events the next batch may have.
        self._size = self._max_batch
        # What the endpoint has taken, until it is gone from the store for certain.
        self._taken: Sequence[Stored] = ()
        # In a row, and not since the last success: failures, those with 4xx, and those of the
        # store; and whether the last failure made events expire.
        self._failures = 0
        self._blamed = 0
        self._store_failures = 0
        self._dropping = False
        self._counted_at = float("-inf")
        metrics.begin(queue)
        self.task = asyncio.create_task(self._run())

    def hint(self) -> None:
        """Look into the queue soon: something was stored."""
        self._stored.set()

    def aim(self, target: Target) -> None:
        """Post there from the next attempt on, which is now if the endpoint fails; and stay."""
        self.is_leaving = False
        if target != self._target:
            self._target = target
            self._nudged.set()

    def leave(self) -> None:
        """Let what is being posted finish, and end."""
        self.is_leaving = True
        self._stored.set()
        self._nudged.set()

    async def _run(self) -> None:
        while not self.is_leaving:
            try:
                await self._deliver()
                self._store_failures = 0
            except WebhookStoreError:
                # Whoever connects to the store says that it is away.
                self._store_failures += 1
                await self._pause(self._backoff(self._store_failures, self._pace.look_every))
            except Exception:
                # The boundary of this task: events that wait must not wait for ever.
                log.exception("delivery of webhooks failed and begins anew", **self._names)
                self._failures += 1
                await self._pause(self._backoff(self._failures, self._pace.longest_retry))

    async def _deliver(self) -> None:
        """Post a batch and rest until there may be more.

        Raises:
            WebhookStoreError: The store is away.
        """
        await self._settle()
        self._stored.clear()
        found = await self._store.read(self.queue, 0, self._size)
        is_all = len(found) < self._size
        await self._count(len(found) if is_all else None)
        batch = self._fitting(found)
        if self.is_leaving or (batch and not await self._post(batch)):
            return
        if is_all and len(batch) == len(found):
            await self._rest()

    def _fitting(self, found: Sequence[Stored]) -> Sequence[Stored]:
        """Return those of the head that one request may take."""
        size = 0
        for count, stored in enumerate(found):
            size += len(stored.body)
            if size > MAX_BODY and count:
                # Then as many of the next ones are enough, too.
                self._size = count
                return found[:count]
        return found

    async def _post(self, batch: Sequence[Stored]) -> bool:
        """Try to deliver a batch; whether the endpoint has taken it."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._poster.post(self._target, [stored.body for stored in batch])
        except PostError as error:
            self._metrics.posted(self.queue, error.failure, loop.time() - started)
            await self._failed(batch, error)
            return False
        self._metrics.posted(self.queue, "ok", loop.time() - started)
        self._metrics.delivered(self.queue, len(batch))
        self._taken = batch
        self._succeeded()
        await self._settle()
        return True

    def _succeeded(self) -> None:
        if self._failures >= LOUD:
            log.info("webhook endpoint works again", failures=self._failures, **self._names)
        self._failures = self._blamed = 0
        self._dropping = False
        self._patience.succeeded()
        self._size = min(2 * self._size, self._max_batch)

    async def _failed(self, batch: Sequence[Stored], error: PostError) -> None:
        """Drop what was tried for long enough, and wait until the next attempt."""
        self._failures += 1
        if self._failures == LOUD:
            log.warning("webhook endpoint fails", reason=str(error), **self._names)
        self._blamed = self._blamed + 1 if error.blames_content else 0
        if self._blamed >= REPEATED:
            self._size = max(1, len(batch) // 2)
        pause = self._backoff(self._failures, self._pace.longest_retry)
        try:
            await self._expire(batch, error)
        finally:
            await self._pause(max(pause, min(error.retry_after, self._pace.longest_retry)))

    async def _expire(self, batch: Sequence[Stored], error: PostError) -> None:
        """Drop the events whose time is over, from the head.

        At first only those that were just refused, for the fault may be theirs. When the next ones
        are refused as well, it is not, and whatever has waited for as long goes with them, so that
        a queue behind a dead endpoint has no more than the events of that time.
        """
        waiting = await self._store.size(self.queue)
        self._metrics.waiting(self.queue, waiting)
        now = asyncio.get_running_loop().time()
        self._patience.failed(now, batch[0].sequence, waiting)
        expired = self._patience.expired(now)
        if not self._dropping:
            expired = min(expired, len(batch))
        self._dropping = expired > 0
        if expired:
            await self._drop(batch, expired, str(error))

    async def _drop(self, batch: Sequence[Stored], events: int, reason: str) -> None:
        """Remove events from the head, of which `batch` are the first."""
        dropped = 0
        try:
            while batch:
                gone = batch[: events - dropped]
                await self._store.remove(self.queue, gone[-1].sequence)
                self._patience.removed(len(gone))
                dropped += len(gone)
                if dropped == events or self.is_leaving:
                    break
                batch = await self._store.read(self.queue, 0, self._max_batch)
        finally:
            if dropped:
                self._metrics.dropped(self.queue, "expired", dropped)
                log.warning(
                    "webhook events dropped: the endpoint failed for too long",
                    events=dropped,
                    reason=reason,
                    **self._names,
                )

    async def _settle(self) -> None:
        """Remove what the endpoint has taken, if that still begins the queue.

        It may be gone, if an earlier attempt was not confirmed or another broker posts too; and if
        the store has begun anew meanwhile, other events have its places.

        Raises:
            WebhookStoreError: It may still be there, and nothing may be posted until it is not.
        """
        if not self._taken:
            return
        head = await self._store.read(self.queue, 0, 1)
        if head and head[0] in self._taken:
            await self._store.remove(self.queue, self._taken[-1].sequence)
        self._taken = ()

    async def _count(self, known: int | None) -> None:
        """Show how many events wait; ask only now and then if they are many."""
        now = asyncio.get_running_loop().time()
        if known is None and now - self._counted_at >= self._pace.look_every:
            self._counted_at = now
            known = await self._store.size(self.queue)
        if known is not None:
            self._metrics.waiting(self.queue, known)

    async def _rest(self) -> None:
        """Wait until something may have been stored, and a little longer for what goes with it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pace.look_every):
                await self._stored.wait()
        await self._pause(self._batch_wait)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless it was told to leave or to post elsewhere."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        self._nudged.clear()

    def _backoff(self, failures: int, longest: float) -> float:
        # The exponent is bounded, since no float has a thousandth power of two.
        pause = min(self._pace.first_retry * 2.0 ** min(failures - 1, 32), longest)
        return random.uniform(0, pause)  # noqa: S311 (jitter)

    @property
    def _names(self) -> dict[str, str]:
        return {"app": self.queue.app_id, "endpoint": self.queue.endpoint}
