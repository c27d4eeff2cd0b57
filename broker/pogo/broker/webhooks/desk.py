"""One endpoint of an app that is led: what is to be queued for it, and how much at a time."""

from collections.abc import Iterator, Sequence

from pogo.broker.webhooks.facts import Announcements, Fact, ledger_key
from pogo.telemetry import get_logger
from pogo.webhooks import MAX_COMMIT_BYTES, Item, Queue, encode_event, new_event_id

MAX_FACTS = 500
"""Facts of one commit."""

log = get_logger()


class Batch:
    """Facts that are committed together."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.changes: dict[str, bytes | None] = {}
        self.items: list[Item] = []


class Desk:
    """What is to be told to one endpoint goes over this desk."""

    def __init__(self, announcements: Announcements, queue: Queue) -> None:
        self.announcements = announcements
        self._queue = queue
        self.facts: list[Fact] = []
        self._limit = MAX_FACTS
        # Until when its queue counts as full.
        self.closed_until = 0.0
        self._is_full = False

    def next_due(self) -> Iterator[float]:
        """Yield when something is to be done, if anything is."""
        due = self.announcements.next_due()
        if due is not None:
            yield max(due, self.closed_until)

    def next_batch(self) -> Batch:
        """Make a commit of the first facts, as many as it takes."""
        batch = Batch()
        size = 0
        for fact in self.facts[: self._limit]:
            key = ledger_key(self.announcements.endpoint, fact.point)
            entry = fact.entry
            size += len(key.encode()) + len(entry or b"")
            item = self._item(fact)
            if item is not None:
                size += len(item.id) + len(item.body)
            if size > MAX_COMMIT_BYTES:
                break
            batch.facts.append(fact)
            batch.changes[key] = entry
            if item is not None:
                batch.items.append(item)
        return batch

    def committed(self, facts: Sequence[Fact], now: float) -> None:
        """Take that the first facts stand in the store."""
        self.announcements.announced(facts, now)
        del self.facts[: len(facts)]
        self._limit = min(2 * self._limit, MAX_FACTS)
        self._is_full = False

    def smaller(self, size: int) -> bool:
        """Make the next batch half as large as one that had no room, if it had more than one."""
        self._limit = max(1, size // 2)
        return size > 1

    def close(self, until: float, reason: str) -> None:
        """Wait for the queue to have room: what is to be told then may be something else."""
        self.facts = []
        self.closed_until = until
        if not self._is_full:
            self._is_full = True
            queue = self._queue
            log.warning(
                "webhooks wait: the queue is full",
                app_id=queue.app_id,
                endpoint=queue.endpoint,
                reason=reason,
            )

    def _item(self, fact: Fact) -> Item | None:
        """Write the event of a fact, if the endpoint wants it."""
        if not self.announcements.wants(fact):
            return None
        point, event_id = fact.point, new_event_id()
        body = encode_event(
            fact.event,
            point.channel,
            event_id,
            user_id=point.user_id or None,
            subscription_count=fact.value if fact.event == "subscription_count" else None,
        )
        return Item(self._queue, event_id, body)
