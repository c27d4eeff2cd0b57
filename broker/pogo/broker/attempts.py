"""Attempts to publish what has a message id: claimed first, then published, then recorded.

An attempt is a task of its own, so that a caller who hangs up neither ends it nor leaves its claim
behind. It is answered within 2 s; its record is tried for longer where the store is away.
"""

import asyncio
from collections.abc import Collection, Sequence
from functools import partial

from pogo.broker.grouped_writes import GroupedWrites
from pogo.broker.groups import Answer, Events, Group, Named
from pogo.broker.message_ids import LIFETIMES, ConflictError, Found, Lifetimes, end
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.status import Outcome
from pogo.records import Record, RecordMismatchError, Records, RecordsError, Write
from pogo.rpc.v1.status import StatusCode
from pogo.telemetry import get_logger

MAX_ATTEMPTS = 10_000
"""Attempts of one broker at a time. Each has a task and holds its events until it is answered."""

MAX_MESSAGE_IDS = 100_000
"""Message ids of all of them, about a kilobyte each: a batch has up to one for each event."""

SETTLE_WITHIN = 30.0
"""Seconds after which an ending that the store does not take is given up."""

SETTLE_PAUSE = 0.1
MAX_SETTLE_PAUSE = 2.0
"""Seconds until the second try, and at the most between later ones: each pause is twice as long as
the one before. Where the store has only moved on, the first is left out."""

_AWAY = Outcome(
    StatusCode.BROKER_PUBLISH_FAILED, "the records of message_ids cannot be reached: not sent"
)
_LOST = Outcome(
    StatusCode.BROKER_PUBLISH_FAILED,
    "the broker stopped or failed; the event may have been sent",
    in_doubt=True,
)

log = get_logger()


class Attempts:
    """The attempts of one broker that are not over."""

    def __init__(
        self,
        records: Records,
        publisher: Publisher,
        metrics: BrokerMetrics,
        lifetimes: Lifetimes = LIFETIMES,
    ) -> None:
        self._records = records
        self._endings = GroupedWrites(records)
        self._publisher = publisher
        self._metrics = metrics
        self._lifetimes = lifetimes
        self._tasks: set[asyncio.Task[None]] = set()
        # Those whose record may still change, by key.
        self._open: dict[str, Named] = {}
        metrics.watch_attempts(lambda: len(self._tasks))

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._tasks) >= MAX_ATTEMPTS or len(self._open) >= MAX_MESSAGE_IDS

    def get(self, key: str) -> Named | None:
        """Return the one of this broker that has a key, if there is one."""
        return self._open.get(key)

    def begin(self, events: Events, named: Sequence[Named], others: Sequence[Group]) -> None:
        """Publish the events of these groups, in order, each with a claim of its own if named."""
        for group in named:
            self._open[group.key] = group
        task = asyncio.create_task(self._run(events, named, others))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, [*named, *others]))

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 (running out is no error)
        """Wait until all are over, or `timeout` seconds have passed."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 (running out is no error)
        """Give those up that are not over within `timeout` seconds. Idempotent."""
        await self.drain(timeout)
        tasks = tuple(self._tasks)
        if tasks:
            log.warning("message ids are left as pending", attempts=len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, groups: Sequence[Group], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for group in groups:
            group.answer([_LOST] * len(group.indices))
            if isinstance(group, Named) and self._open.get(group.key) is group:
                del self._open[group.key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("an attempt to publish failed", exc_info=error)

    async def _run(self, events: Events, named: Sequence[Named], others: Sequence[Group]) -> None:
        claimed, unsure, conflict = await self._claim(named)
        if conflict:
            for group in others:
                group.answer(None)
        else:
            await self._publish(events, claimed, others)
        # What follows may take long, and needs them no more.
        del events
        if claimed or unsure:
            await self._settle([*claimed, *unsure])

    async def _claim(self, named: Sequence[Named]) -> tuple[list[Named], list[Named], bool]:
        """Claim what nobody else has.

        Returns what was claimed, what perhaps was (and is not to be), and whether a message id was
        used for something else before.
        """
        claimed: list[Named] = []
        unsure: list[Named] = []
        taken: list[Named] = []
        if not named:
            return claimed, unsure, False
        if not self._records.connected:
            self._metrics.records_failed("claim", len(named))
            for group in named:
                group.answer([_AWAY] * len(group.indices))
            return claimed, unsure, False
        ttl = self._lifetimes.pending
        results = await self._records.write(
            [Write(group.key, group.claim.pending, ttl, 0) for group in named]
        )
        for group, result in zip(named, results, strict=True):
            if isinstance(result, int):
                group.revision = result
                claimed.append(group)
            elif isinstance(result, RecordMismatchError):
                taken.append(group)
            else:
                self._metrics.records_failed("claim")
                group.answer([_unclaimed(result)] * len(group.indices))
                unsure.append(group)
        return claimed, unsure, bool(taken) and await self._look(taken)

    async def _look(self, taken: Sequence[Named]) -> bool:
        """See what others have recorded; whether any of it is about something else."""
        conflict = False
        try:
            records = await self._records.get([group.key for group in taken])
        except RecordsError:
            # Then it is not known yet.
            records = [None] * len(taken)
        for group, record in zip(taken, records, strict=True):
            answer = _answer(group, record)
            conflict = conflict or isinstance(answer, ConflictError)
            group.is_repeat = isinstance(answer, list)
            group.answer(answer)
            del self._open[group.key]
        return conflict

    async def _publish(
        self, events: Events, claimed: Sequence[Named], others: Sequence[Group]
    ) -> None:
        order = sorted(index for group in (*claimed, *others) for index in group.indices)
        if not order:
            return
        outcomes = await self._publisher.publish(
            [events.events[index] for index in order],
            json_data=events.json_data,
            since=events.since,
        )
        by_index = dict(zip(order, outcomes, strict=True))
        for group in others:
            group.answer([by_index[index] for index in group.indices])
        for named in claimed:
            named.outcomes = [by_index[index] for index in named.indices]
            named.is_published = True
            named.ending = end(named.claim, named.outcomes, self._lifetimes)
            # Whoever is told that nothing was sent may try again at once: the claim goes first.
            if named.ending.record is not None:
                named.answer(named.outcomes)

    async def _settle(self, named: Sequence[Named]) -> None:
        """Record how attempts ended, again and again until the store has it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_WITHIN
        left = set(named)
        pause = 0.0
        is_first = True
        while True:
            settled, is_away = await self._settle_once(left)
            left -= settled
            for group in settled:
                group.answer(group.outcomes)
                del self._open[group.key]
            if not left:
                return
            if is_away or not is_first:
                # Whoever waited to be told that nothing was sent waits no longer.
                for group in left:
                    group.answer(group.outcomes)
                pause = min(2 * pause or SETTLE_PAUSE, MAX_SETTLE_PAUSE)
            if loop.time() >= until:
                self._metrics.records_failed("settle", len(left))
                log.warning("message ids are left as pending", message_ids=len(left))
                return
            is_first = False
            await asyncio.sleep(pause)

    async def _settle_once(self, left: Collection[Named]) -> tuple[set[Named], bool]:
        """Try to record how attempts ended.

        Returns those of which that is done with, and whether the store did not do what it was
        asked. Otherwise what is left has other revisions there.
        """
        settled, is_away = await self._find([group for group in left if group.revision is None])
        writes = {
            group: Write(group.key, group.ending.record, group.ending.ttl, group.revision)
            for group in left
            if group.revision is not None
        }
        if writes:
            # Who was told that nothing was sent waits for the claim to go.
            is_waited_for = any(write.value is None for write in writes.values())
            place = self._records if is_waited_for else self._endings
            results = await place.write(list(writes.values()))
            for group, result in zip(writes, results, strict=True):
                if isinstance(result, int):
                    settled.add(group)
                else:
                    group.revision = None
                    is_away = is_away or not isinstance(result, RecordMismatchError)
        return settled, is_away

    async def _find(self, lost: Sequence[Named]) -> tuple[set[Named], bool]:
        """Find the claims whose revision is not known.

        Returns those that need nothing more, and whether the store did not say.
        """
        settled: set[Named] = set()
        if not lost:
            return settled, False
        try:
            records = await self._records.get([group.key for group in lost])
        except RecordsError:
            return settled, True
        for group, record in zip(lost, records, strict=True):
            if record is not None and record.value == group.claim.pending:
                group.revision = record.revision
            elif record is None and group.ending.record is not None:
                # The store has forgotten it, and is to know again.
                group.revision = 0
            else:
                settled.add(group)
        return settled, False


def _answer(group: Named, record: Record | None) -> Answer:
    """Say what a record means for whoever repeats the message id."""
    if record is None:
        return None
    try:
        found = Found.read(record.value)
    except ValueError as error:
        return [Outcome(StatusCode.BROKER_PUBLISH_FAILED, str(error), in_doubt=True)] * len(
            group.indices
        )
    if found.fingerprint != group.claim.fingerprint:
        return ConflictError(group.message_id)
    return found.outcomes


def _unclaimed(error: RecordsError) -> Outcome:
    detail = f"the message_id could not be recorded ({error}): not sent"
    return Outcome(StatusCode.BROKER_PUBLISH_FAILED, detail)
