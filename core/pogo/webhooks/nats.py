"""The webhook store on NATS: a stream for queues and one for ledgers, both on file storage.

A commit is first written into the app's ledger, its events included; then its events go to their
queues. Whoever takes the lead does the second for the last commit anew, as the former leader may
have died between the two; ids keep events from being there twice. A queue that has become full in
between gets its events as soon as it has room. Until then nothing more is committed for it, and
commits for other queues carry its events along, so that the last record has all that wait.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from pogo.bus import BusError
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.nats_messages import StreamOptions
from pogo.webhooks.interface import (
    MAX_COMMIT_BYTES,
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
        login: Who connects, where a URL does not say, and whom to believe.
    """

    def __init__(
        self,
        urls: Sequence[str],
        queue_size: int = QUEUE_SIZE,
        queues: StreamOptions = _STREAM_OPTIONS,
        ledgers: StreamOptions = _STREAM_OPTIONS,
        *,
        login: NatsLogin = ANONYMOUS,
    ) -> None:
        self._listeners: list[Callable[[Queue], None]] = []
        self._queues = NatsQueues(urls, queue_size, queues, self._stored, login)
        self._ledgers = NatsLedgers(urls, ledgers, login)
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
                await self._put(lead, lead.waiting)
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
            with _known(lead):
                async with in_time(LEAD_TIMEOUT):
                    await self._make_room(lead, queues, items)
                    if lead.log.ledger.is_long:
                        await ledgers.shorten(lead.log)
                    # Those that wait go along, since a successor only looks at the last events.
                    events = [*lead.waiting, *items] if items else []
                    await ledgers.append(lead.log, Record.of(changes, events))
                    lead.waiting += items
                    await self._put(lead, items)

    async def _make_room(
        self, lead: _NatsLead, queues: NatsQueuesConnection, items: Sequence[Item]
    ) -> None:
        """See that events have room, behind those that wait.

        Raises:
            QueueFullError: They have not.
            StoreUnavailableError, BusUnavailableError: The store did not say.
        """
        if lead.waiting:
            await self._put_where_room(lead, queues)
        full = {item.queue for item in lead.waiting}
        for item in items:
            if item.queue in full:
                raise QueueFullError(f"events for {item.queue.endpoint} wait for room")
        if items:
            size = sum(len(item.id) + len(item.body) for item in lead.waiting)
            if size > MAX_COMMIT_BYTES:
                raise QueueFullError(f"{size} bytes of {lead.log.app_id} wait for room")
            await queues.check_room(lead.log.app_id, items)

    async def _put_where_room(self, lead: _NatsLead, queues: NatsQueuesConnection) -> None:
        """Put events that wait into those queues that have room for all of theirs.

        Raises:
            StoreUnavailableError, BusUnavailableError: The store did not say.
        """
        for queue in dict.fromkeys(item.queue for item in lead.waiting):
            items = [item for item in lead.waiting if item.queue == queue]
            with contextlib.suppress(QueueFullError):
                await queues.check_room(queue.app_id, items)
                await self._put(lead, items)

    async def _put(self, lead: _NatsLead, items: Sequence[Item]) -> None:
        """Put some of those that wait into their queues, as far as there is room.

        Raises:
            StoreUnavailableError, BusUnavailableError: It is not known which ones are there.
            DeposedError: Another broker leads by now, and puts those that still wait.
        """
        if not items:
            return
        outcomes = await self.enqueue(items)
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, QueueFullError):
                raise StoreUnavailableError(str(outcome)) from outcome
        put = {
            (item.queue, item.id)
            for item, outcome in zip(items, outcomes, strict=True)
            if outcome is None
        }
        lead.waiting = [item for item in lead.waiting if (item.queue, item.id) not in put]
        app_id = lead.log.app_id
        if not lead.waiting:
            self._waiting.pop(app_id, None)
            self._ledgers.ready.note_done(lead.log)
            return
        self._waiting[app_id] = lead
        if put:
            # A successor would put the others again, of which ids only tell for a while.
            await self._ledgers.ready.append(lead.log, Record.of({}, lead.waiting))

    async def _put_waiting(self, app_id: str) -> None:
        """Put events into their queues that found them full, if they have room by now."""
        lead = self._waiting.get(app_id)
        if lead is None or lead.is_lost or lead.lock.locked():
            return
        async with lead.lock:
            # If it fails, whoever leads next tries again; ids tell what is there already.
            with contextlib.suppress(DeposedError, StoreUnavailableError), _known(lead):
                async with in_time():
                    await self._put_where_room(lead, self._queues.ready)

    def _stored(self, queue: Queue) -> None:
        for listener in self._listeners:
            listener(queue)


@contextlib.contextmanager
def _known(lead: _NatsLead) -> Iterator[None]:
    """Take that it is not known how a log stands, unless what is done ends as it should."""
    try:
        yield
    except (DeposedError, QueueFullError):
        raise
    except BaseException:
        # Perhaps a record was written, and perhaps not.
        lead.is_lost = True
        raise


_: type[WebhookStore] = NatsWebhookStore
