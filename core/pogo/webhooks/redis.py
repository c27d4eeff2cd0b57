"""The webhook store on Redis: a stream for each queue, and a hash for each ledger.

One broker at a time reads a queue, so there is no consumer group: its list of what was given to
whom would be a second truth beside the stream, which has to be tidied up after each death.

What Redis keeps over a restart is up to its configuration: `appendonly yes` keeps all but the last
second. Without it everything is lost, and a warning tells.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

from pogo.bus import BusError
from pogo.bus.redis_connection import RedisServers
from pogo.bus.redis_link import RedisOptions
from pogo.webhooks.interface import (
    MAX_EVENT_BYTES,
    Item,
    Lead,
    Queue,
    Stored,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
    check_commit,
)
from pogo.webhooks.redis_connection import RedisLead, RedisWebhookConnection
from pogo.webhooks.remote import LEAD_TIMEOUT, Remote, in_time, store_fitting

__all__ = ["RedisOptions", "RedisWebhookStore"]

QUEUE_SIZE = 100_000


class RedisWebhookStore(Remote[RedisWebhookConnection]):
    """The webhook store in a database of one redis-server, or of the master that sentinels name.

    Args:
        options: Where Redis is and how to log in.
        queue_size: Events that each queue may hold. How many bytes all of them may hold is up to
            the server's own `maxmemory`.
    """

    what = "webhooks"
    kind = "redis"

    def __init__(self, options: RedisOptions, queue_size: int = QUEUE_SIZE) -> None:
        super().__init__()
        self._listeners: list[Callable[[Queue], None]] = []
        self._servers = RedisServers(options)
        self._make = functools.partial(
            RedisWebhookConnection, queue_size=queue_size, stored=self._stored
        )

    async def start(self) -> None:
        """Read the sentinels' addresses, and connect or begin trying to.

        Raises:
            WebhookStoreError: One of them is no such address.
        """
        try:
            self._servers.parse()
        except BusError as error:
            raise WebhookStoreError(str(error)) from error
        await super().start()

    def listen(self, listener: Callable[[Queue], None]) -> None:
        """Call `listener` when something was stored in a queue."""
        self._listeners.append(listener)

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store events on the connection there is, or fail at once."""
        try:
            async with in_time():
                return await store_fitting(items, MAX_EVENT_BYTES, self.ready.enqueue)
        except StoreUnavailableError as error:
            return [error] * len(items)

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Return the oldest events behind a place."""
        async with in_time():
            return await self.ready.read(queue, after, limit)

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove all events up to a place."""
        async with in_time():
            await self.ready.remove(queue, up_to)

    async def size(self, queue: Queue) -> int:
        """Count the events of a queue."""
        async with in_time():
            return await self.ready.size(queue)

    async def lead(self, app_id: str) -> tuple[Lead, dict[str, bytes]]:
        """Take the lead of an app."""
        lead = RedisLead(app_id)
        async with in_time(LEAD_TIMEOUT):
            return lead, await self.ready.take(lead)

    async def commit(
        self, lead: Lead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Write the ledger and store the events in one go."""
        assert isinstance(lead, RedisLead)
        check_commit(lead.app_id, changes, items)
        async with in_time():
            await self.ready.commit(lead, changes, items)

    async def _open(self) -> RedisWebhookConnection:
        return await self._servers.open(self._make)

    def _stored(self, queue: Queue) -> None:
        for listener in self._listeners:
            listener(queue)


_: type[WebhookStore] = RedisWebhookStore
