"""Publishing at most once: what has a message id is published by one call, and repeats wait."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from pogo.broker.attempts import Attempts
from pogo.broker.events import Event
from pogo.broker.groups import Events, Group, Named
from pogo.broker.message_ids import ConflictError, fingerprint, record_key
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.queues import BROKER_QUEUE_FULL
from pogo.broker.status import SUCCESS, Outcome
from pogo.rpc.v1.status import StatusCode

FIRST_PAUSE = 0.01
LAST_PAUSE = 0.2
"""Seconds until a call looks again at what another broker has claimed: twice as long each time."""

_UNKNOWN = Outcome(
    StatusCode.BROKER_PUBLISH_FAILED,
    "a call with this message_id is under way, or ended without a word: its fate is unknown",
    in_doubt=True,
)


class Repeats:
    """Publishes what has a message id, and answers those who repeat it.

    Args:
        attempts: Publish, and record that.
        wait: Seconds that a repeat waits for the answer to the first call.
    """

    def __init__(self, attempts: Attempts, metrics: BrokerMetrics, wait: float) -> None:
        self._attempts = attempts
        self._metrics = metrics
        self._wait = wait

    async def publish(
        self,
        app_id: str,
        events: Sequence[Event],
        *,
        json_data: bool,
        message_id: str = "",
        within: float = float("inf"),
    ) -> list[Outcome]:
        """Publish events, each message id once.

        Args:
            app_id: Whose message ids these are.
            events: What to publish.
            json_data: Whether the data must be JSON text.
            message_id: Names all events together; without it, their own names count.
            within: Seconds in which the caller needs an answer.

        Returns:
            The outcome of each event, in their order.

        Raises:
            ConflictError: A message id was used for something else; nothing was published.
        """
        if self._attempts.is_full:
            self._metrics.answered([BROKER_QUEUE_FULL] * len(events))
            return [BROKER_QUEUE_FULL] * len(events)
        loop = asyncio.get_running_loop()
        call = Events(events, json_data, loop.time())
        deadline = call.since + min(self._wait, within)
        outcomes = [SUCCESS] * len(events)
        named = list(_named(app_id, events, message_id))
        others = _others(events, named)
        pause = FIRST_PAUSE
        while True:
            leaders = self._begin(call, named, others)
            await _answers(leaders, others, deadline)
            left = self._take(leaders, outcomes)
            for group in others:
                answer = group.answered.result()
                # Only a conflict leaves it unanswered, and that was raised.
                assert isinstance(answer, list)
                _fill(outcomes, group, answer)
            if not left:
                return outcomes
            now = loop.time()
            if now >= deadline:
                self._give_up(left, outcomes)
                return outcomes
            await asyncio.sleep(min(pause, deadline - now))
            pause = min(2 * pause, LAST_PAUSE)
            named, others = [group.again() for group in left], []

    def _begin(
        self, call: Events, named: Sequence[Named], others: Sequence[Group]
    ) -> dict[Named, Named]:
        """Begin what is not under way here already; returns whose answer each group gets.

        Raises:
            ConflictError: A message id is being used for something else.
        """
        leaders: dict[Named, Named] = {}
        first: dict[str, Named] = {}
        for group in named:
            leader = self._attempts.get(group.key) or first.setdefault(group.key, group)
            if leader.claim.fingerprint != group.claim.fingerprint:
                raise self._conflict(group)
            leaders[group] = leader
        own = list(first.values())
        if own or others:
            self._attempts.begin(call, own, others)
        return leaders

    def _take(self, leaders: Mapping[Named, Named], outcomes: list[Outcome]) -> list[Named]:
        """Take the answers that there are; returns the groups that have none.

        Raises:
            ConflictError: A message id was used for something else before.
        """
        left: list[Named] = []
        for group, leader in leaders.items():
            answer = leader.answered.result() if leader.answered.done() else None
            if isinstance(answer, ConflictError):
                raise self._conflict(group)
            if answer is None:
                left.append(group)
                continue
            _fill(outcomes, group, answer)
            if leader is not group or leader.is_repeat:
                self._metrics.repeated("answered")
            if leader is not group or not leader.is_published:
                self._metrics.answered(answer)
        return left

    def _give_up(self, left: Sequence[Named], outcomes: list[Outcome]) -> None:
        for group in left:
            answer = [_UNKNOWN] * len(group.indices)
            _fill(outcomes, group, answer)
            self._metrics.repeated("unknown")
            self._metrics.answered(answer)

    def _conflict(self, group: Named) -> ConflictError:
        self._metrics.repeated("conflict")
        return ConflictError(group.message_id)


def _named(app_id: str, events: Sequence[Event], message_id: str) -> Iterator[Named]:
    """Group the events by what names them."""
    if message_id:
        key = record_key(app_id, message_id)
        yield Named(key, message_id, range(len(events)), fingerprint(events))
        return
    for index, event in enumerate(events):
        if event.message_id:
            key = record_key(app_id, event.message_id)
            yield Named(key, event.message_id, (index,), fingerprint((event,)))


def _others(events: Sequence[Event], named: Sequence[Named]) -> list[Group]:
    """Group the events that nothing names."""
    taken = {index for group in named for index in group.indices}
    indices = [index for index in range(len(events)) if index not in taken]
    return [Group(indices)] if indices else []


async def _answers(
    leaders: Mapping[Named, Named], others: Sequence[Group], deadline: float
) -> None:
    """Wait for the answers of our own attempts, and until the deadline for those of others."""
    own = [group.answered for group in others]
    own += [group.answered for group, leader in leaders.items() if leader is group]
    if own:
        await asyncio.wait(own)
    foreign = {leader.answered for group, leader in leaders.items() if leader is not group}
    if foreign:
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait(foreign, timeout=max(left, 0.0))


def _fill(outcomes: list[Outcome], group: Group, answer: Sequence[Outcome]) -> None:
    for index, outcome in zip(group.indices, answer, strict=True):
        outcomes[index] = outcome
