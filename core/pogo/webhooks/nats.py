"""The webhook store on NATS: a stream for queues and one for ledgers, both on file storage.

A commit is first written into the app's ledger, its events included; then its events go to their
queues. Whoever takes the lead does the second for the last commit anew, as the former leader may
have died between the two; ids keep events from being there twice. A queue that has become full in
between gets its events as soon as it has room, and until then nothing more is committed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from pogo.bus import BusError
from pogo.bus.nats_messages import StreamOptions
from pogo.webhooks.interface import (
    DeposedError,
    Item,
    Lead,
    Queue,
    QueueFullError,
    Stored,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
    check_commit,
    check_items,
)
from pogo.webhooks.ledger import Record
from pogo.webhooks.nats_ledgers import Log, NatsLedgers
from pogo.webhooks.nats_queues import NatsQueues, NatsQueuesConnection
from pogo.webhooks.remote import LEAD_TIMEOUT, in_time

__all__ = ["NatsWebhookStore", "StreamOptions"]

QUEUE_SIZE = 100_000

_STREAM_OPTIONS = StreamOptions()


class _NatsLead:
    """What a leader knows of its app's log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.waiting: list[Item] = []
        """Events that were committed and are not in their queues yet."""
        self.lock = asyncio.Lock()
        # Whether it is not known any more how the log stands.
        self.is_lost = False


class NatsWebhookStore:
    """The webhook store on one nats-server or on a cluster of them, on connections of its own.

    Args:
        urls: Servers, `nats://…` or `tls://…`; one is used at a time, the next when it fails.
        queue_size: Events that each queue may hold.
        queues: How the stream of queues is to be.
        ledgers: How the stream of ledgers is to be.
    """

    def __init__(
        self,
        urls: Sequence[str],
        queue_size: int = QUEUE_SIZE,
        queues: StreamOptions = _STREAM_OPTIONS,
        ledgers: StreamOptions = _STREAM_OPTIONS,
    ) -> None:
        self._listeners: list[Callable[[Queue], None]] = []
        self._queues = NatsQueues(urls, queue_size, queues, self._stored)
        self._ledgers = NatsLedgers(urls, ledgers)
        # Leads with events that wait for room in their queues, by app.
        self._waiting: dict[str, _NatsLead] = {}

    @property
    def connected(self) -> bool:
        """Whether both streams are reachable."""
        return self._queues.connected and self._ledgers.connected

    async def start(self) -> None:
        """Read the URLs, and connect or begin trying to.

        Raises:
            WebhookStoreError: A URL is none, JetStream is off, or the server too old.
        """
        parts = (self._queues, self._ledgers)
        try:
            for part in parts:
                part.servers.parse()
        except BusError as error:
            raise WebhookStoreError(str(error)) from error
        await asyncio.gather(*(part.start() for part in parts))
        for part in parts:
            unfit = part.servers.unfit
            if unfit is not None and not part.connected:
                await self.close()
                raise WebhookStoreError(str(unfit)) from unfit

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        await self._queues.close()
        await self._ledgers.close()

    def listen(self, listener: Callable[[Queue], None]) -> None:
        """Call `listener` when something was stored in a queue."""
        self._listeners.append(listener)

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store events on the connection there is, or fail at once."""
        check_items(items)
        if not items:
            return []
        try:
            async with in_time():
                return await self._queues.ready.enqueue(items)
        except StoreUnavailableError as error:
            return [error] * len(items)

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Return the oldest events behind a place."""
        await self._put_waiting(queue.app_id)
        async with in_time():
            return await self._queues.ready.read(queue, after, limit)

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove all events up to a place."""
        async with in_time():
            await self._queues.ready.remove(queue, up_to)
        await self._put_waiting(queue.app_id)

    async def size(self, queue: Queue) -> int:
        """Count the events of a queue."""
        async with in_time():
            return await self._queues.ready.size(queue)

    async def lead(self, app_id: str) -> tuple[Lead, dict[str, bytes]]:
        """Take the lead of an app, and see that what was committed last is in the queues."""
        # Who cannot store events cannot commit.
        _, ledgers = self._queues.ready, self._ledgers.ready
        async with in_time(LEAD_TIMEOUT):
            log = await ledgers.take(app_id)
            lead = _NatsLead(log)
            self._waiting.pop(app_id, None)
            if log.events is not None and log.done < log.events[0]:
                lead.waiting = log.events[1].items(app_id)
                await self._put(lead)
        return lead, dict(log.ledger.values)

    async def commit(
        self, lead: Lead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Write the ledger, and then store the events."""
        assert isinstance(lead, _NatsLead)
        check_commit(lead.log.app_id, changes, items)
        async with lead.lock:
            if lead.is_lost:
                raise StoreUnavailableError("it is not known how the ledger stands")
            queues, ledgers = self._queues.ready, self._ledgers.ready
            try:
                async with in_time(LEAD_TIMEOUT):
                    await self._make_room(lead, queues, items)
                    if lead.log.ledger.is_long:
                        await ledgers.shorten(lead.log)
                    await ledgers.append(lead.log, Record.of(changes, items))
                    lead.waiting = list(items)
                    await self._put(lead)
            except (DeposedError, QueueFullError):
                raise
            except BaseException:
                # Perhaps the record was written, and perhaps not.
                lead.is_lost = True
                raise

    async def _make_room(
        self, lead: _NatsLead, queues: NatsQueuesConnection, items: Sequence[Item]
    ) -> None:
        """See that events have room, behind those of the last commit.

        Raises:
            QueueFullError: They have not.
            StoreUnavailableError, BusUnavailableError: The store did not say.
        """
        app_id = lead.log.app_id
        if lead.waiting:
            await queues.check_room(app_id, lead.waiting)
            await self._put(lead)
        if lead.waiting:
            raise QueueFullError(f"events of {app_id} wait for room")
        if items:
            await queues.check_room(app_id, items)

    async def _put(self, lead: _NatsLead) -> None:
        """Put events that were committed into their queues, as far as there is room.

        Raises:
            StoreUnavailableError: It is not known which ones are there.
        """
        if not lead.waiting:
            return
        app_id = lead.log.app_id
        outcomes = await self.enqueue(lead.waiting)
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, QueueFullError):
                raise StoreUnavailableError(str(outcome)) from outcome
        lead.waiting = [
            item for item, outcome in zip(lead.waiting, outcomes, strict=True) if outcome
        ]
        if lead.waiting:
            self._waiting[app_id] = lead
        else:
            self._waiting.pop(app_id, None)
            self._ledgers.ready.note_done(lead.log)

    async def _put_waiting(self, app_id: str) -> None:
        """Put events into their queues that found them full, if they have room by now."""
        lead = self._waiting.get(app_id)
        if lead is None or lead.lock.locked():
            return
        async with lead.lock:
            # If it fails, the next call tries again; ids tell what is there already.
            with contextlib.suppress(QueueFullError, StoreUnavailableError):
                async with in_time():
                    await self._queues.ready.check_room(app_id, lead.waiting)
                    await self._put(lead)

    def _stored(self, queue: Queue) -> None:
        for listener in self._listeners:
            listener(queue)


_: type[WebhookStore] = NatsWebhookStore
