"""A bus whose server is elsewhere: what the NATS and Redis adapters share.

Its supervisor keeps one connection open for ever; here is what each new one has to carry.
"""

from collections.abc import Sequence

import structlog

from pogo.bus.connection import PING_TIMEOUT, BusConnection
from pogo.bus.interface import (
    BusError,
    BusUnavailableError,
    Handler,
    Message,
    Subscription,
)
from pogo.bus.limits import MAX_PAYLOAD
from pogo.bus.subscriptions import HandlerSubscription, Subscriptions
from pogo.bus.supervised import Supervised

log = structlog.get_logger()

_RESTORE_CHUNK = 1000
"""Subscriptions sent to a new connection before it has to confirm them."""


class RemoteBus(Supervised[BusConnection]):
    """What the NATS and Redis adapters share: everything but their connections."""

    what = "bus"

    def __init__(self) -> None:
        super().__init__()
        self._subscriptions = Subscriptions()
        self._max_payload = MAX_PAYLOAD

    @property
    def max_payload(self) -> int:
        """The limit of the server last connected to."""
        return self._max_payload

    async def close(self) -> None:
        """Send what waits, end the connection and stop the supervisor."""
        connection = self._supervisor.ready
        try:
            if connection is not None:
                await connection.flush()
        except BusUnavailableError as error:
            log.warning("bus closed with messages unsent", bus=self.kind, reason=str(error))
        finally:
            # Also where whoever closes is cancelled: there may be no second call.
            await super().close()

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Tell the server of the first subscription of a subject."""
        subscription, is_first = self._subscriptions.add(subject, handler)
        connection = self._supervisor.connection
        if is_first and connection is not None:
            connection.subscribe([subscription.interest])
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell the server when the last subscription of a subject ends."""
        if not isinstance(subscription, HandlerSubscription):
            raise TypeError(f"{subscription!r} is not a subscription of this bus")
        is_last = self._subscriptions.remove(subscription)
        connection = self._supervisor.connection
        if is_last and connection is not None:
            connection.unsubscribe(subscription.interest)

    async def flush(self) -> None:
        """Wait until the server has everything sent so far."""
        connection = self._supervisor.ready
        if connection is None:
            raise self._unavailable()
        await connection.flush()

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Publish on the connection there is, or fail at once."""
        connection = self._supervisor.ready
        if connection is None:
            return [self._unavailable()] * len(messages)
        return await connection.publish(messages)

    def post(self, message: Message) -> None:
        """Post on the connection there is, or fail at once."""
        connection = self._supervisor.ready
        if connection is None:
            raise self._unavailable()
        connection.post(message)

    def _unavailable(self) -> BusUnavailableError:
        return BusUnavailableError(f"not connected to {self.kind}: {self._supervisor.reason}")

    async def _restore(self, connection: BusConnection) -> None:
        interests = list(self._subscriptions)
        for start in range(0, len(interests), _RESTORE_CHUNK):
            chunk = interests[start : start + _RESTORE_CHUNK]
            # Those that ended meanwhile have no subscriptions left.
            connection.subscribe([interest for interest in chunk if interest.subscriptions])
            await connection.flush(PING_TIMEOUT)
        self._max_payload = connection.max_payload
