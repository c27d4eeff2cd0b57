"""The bus of one process: the reference for the others, and all that `pogo serve` needs."""

import asyncio
from collections import deque
from collections.abc import Sequence

from pogo.bus.interface import (
    Bus,
    BusError,
    BusQueueFullError,
    BusUnavailableError,
    Handler,
    Message,
    StatusListener,
    Subscription,
)
from pogo.bus.limits import MAX_PAYLOAD, too_large
from pogo.bus.outbox import MAX_BYTES, MAX_MESSAGES
from pogo.bus.subscriptions import HandlerSubscription, Subscriptions, deliver


class MemoryBus:
    """Delivers at the end of the event loop's turn, never inside the publisher's call.

    What waits is bounded: by the outbox's limits for `post`, and for `publish` by its callers, who
    wait until their messages were delivered.
    """

    def __init__(self) -> None:
        self._subscriptions = Subscriptions()
        self._listeners: list[StatusListener] = []
        self._connected = False
        # Messages in order; a future stands behind the messages of each waiting `publish`.
        self._queue: deque[Message | asyncio.Future[None]] = deque()
        self._drain_handle: asyncio.Handle | None = None
        # What `post` has in the queue.
        self._posted = 0
        self._posted_bytes = 0

    @property
    def connected(self) -> bool:
        """Whether it was started and not closed."""
        return self._connected

    @property
    def max_payload(self) -> int:
        """The limit that the remote buses have by default."""
        return MAX_PAYLOAD

    async def start(self) -> None:
        """Begin; there is nothing to connect to."""
        self._set_connected(connected=True, reason="")

    async def close(self) -> None:
        """Deliver what waits, and end."""
        if self._connected:
            self._drain()
            self._set_connected(connected=False, reason="closed")

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Add a subscription; it takes effect at once."""
        subscription, _ = self._subscriptions.add(subject, handler)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; it takes effect at once."""
        if not isinstance(subscription, HandlerSubscription):
            raise TypeError(f"{subscription!r} is not a subscription of this bus")
        self._subscriptions.remove(subscription)

    async def flush(self) -> None:
        """Do nothing: subscriptions take effect at once."""
        self._require()

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Queue the messages and wait until the handlers had them."""
        try:
            self._require()
        except BusUnavailableError as error:
            return [error] * len(messages)
        outcomes: list[BusError | None] = [too_large(m, MAX_PAYLOAD) for m in messages]
        self._queue.extend(m for m, e in zip(messages, outcomes, strict=True) if e is None)
        delivered = asyncio.get_running_loop().create_future()
        self._enqueue(delivered)
        await delivered
        return outcomes

    def post(self, message: Message) -> None:
        """Queue one message."""
        self._require()
        error = too_large(message, MAX_PAYLOAD)
        if error is not None:
            raise error
        if self._posted >= MAX_MESSAGES:
            raise BusQueueFullError(f"{MAX_MESSAGES} messages wait to be sent")
        if self._posted_bytes + len(message.payload) > MAX_BYTES:
            raise BusQueueFullError(f"{MAX_BYTES} bytes wait to be sent")
        self._posted += 1
        self._posted_bytes += len(message.payload)
        self._enqueue(message)

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` at the start and at the end."""
        self._listeners.append(listener)

    def _require(self) -> None:
        if not self._connected:
            raise BusUnavailableError("the memory bus is not started, or closed")

    def _set_connected(self, *, connected: bool, reason: str) -> None:
        if connected != self._connected:
            self._connected = connected
            for listener in self._listeners:
                listener(connected, reason)

    def _enqueue(self, item: Message | asyncio.Future[None]) -> None:
        self._queue.append(item)
        if self._drain_handle is None:
            self._drain_handle = asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        """Deliver what is there; what handlers post meanwhile waits for the next turn."""
        if self._drain_handle is not None:
            self._drain_handle.cancel()
            self._drain_handle = None
        self._posted = self._posted_bytes = 0
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if isinstance(item, Message):
                interest = self._subscriptions.get(item.subject)
                if interest is not None:
                    deliver(interest, item.payload)
            elif not item.done():
                item.set_result(None)


_: type[Bus] = MemoryBus
