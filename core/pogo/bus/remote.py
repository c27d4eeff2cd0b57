"""A bus whose server is elsewhere: keeps one connection open for ever and restores what it carries.

A supervisor task opens a connection, gives it all subscriptions, waits until it is lost and opens
the next. The bus counts as connected only between the last two.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import structlog

from pogo.bus.connection import PING_TIMEOUT, Connection, describe
from pogo.bus.interface import (
    BusError,
    BusUnavailableError,
    Handler,
    Message,
    StatusListener,
    Subscription,
)
from pogo.bus.limits import MAX_PAYLOAD
from pogo.bus.subscriptions import HandlerSubscription, Subscriptions

log = structlog.get_logger()

OPEN_TIMEOUT = 5.0
"""Seconds for one attempt to connect and log in, name look-ups and sentinels included."""

RECONNECT_WAIT = (0.1, 0.5)
"""Seconds between attempts, at random, so that a cluster's nodes do not come back as one."""

_RESTORE_CHUNK = 1000
"""Subscriptions sent to a new connection before it has to confirm them."""

_MAX_REASONS = 10
"""Different reasons why attempts fail that are logged in one outage."""


class RemoteBus(ABC):
    """What the NATS and Redis adapters share: everything but their connections."""

    kind: ClassVar[str]
    """The server's name in logs and errors."""

    def __init__(self) -> None:
        self._subscriptions = Subscriptions()
        # The connection there is, and whether it has all subscriptions yet.
        self._connection: Connection | None = None
        self._restored = False
        self._reason = "not started"
        self._max_payload = MAX_PAYLOAD
        self._listeners: list[StatusListener] = []
        self._supervisor: asyncio.Task[None] | None = None
        # Said beside cancelling the supervisor, because `asyncio.wait_for` of Python 3.11, which
        # both client libraries use, swallows a cancellation that comes together with its result.
        self._closing = False
        # Why attempts failed since the bus was last connected, as far as it was logged.
        self._logged: set[str] = set()

    @abstractmethod
    async def _open(self) -> Connection:
        """Connect and log in, once.

        Raises:
            Exception: Whatever the client library raises; none of it may hold a credential.
        """

    @property
    def connected(self) -> bool:
        """Whether there is a connection that has all subscriptions."""
        return self._ready() is not None

    @property
    def max_payload(self) -> int:
        """The limit of the server last connected to."""
        return self._max_payload

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` for each connection that is made or lost."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Start the supervisor, and wait for its first attempt."""
        attempted = asyncio.Event()
        self._supervisor = asyncio.create_task(self._supervise(attempted))
        await attempted.wait()

    async def close(self) -> None:
        """Send what waits, end the connection and stop the supervisor."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        connection = self._ready()
        try:
            if connection is not None:
                await connection.flush()
        except BusUnavailableError as error:
            log.warning("bus closed with messages unsent", bus=self.kind, reason=str(error))
        finally:
            # Also where whoever closes is cancelled: there may be no second call.
            self._reason = "closed"
            self._closing = True
            supervisor.cancel()
        await asyncio.wait([supervisor])
        self._supervisor = None

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Tell the server of the first subscription of a subject."""
        subscription, is_first = self._subscriptions.add(subject, handler)
        if is_first and self._connection is not None:
            self._connection.subscribe([subscription.interest])
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell the server when the last subscription of a subject ends."""
        if not isinstance(subscription, HandlerSubscription):
            raise TypeError(f"{subscription!r} is not a subscription of this bus")
        is_last = self._subscriptions.remove(subscription)
        if is_last and self._connection is not None:
            self._connection.unsubscribe(subscription.interest)

    async def flush(self) -> None:
        """Wait until the server has everything sent so far."""
        connection = self._ready()
        if connection is None:
            raise self._unavailable()
        await connection.flush()

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Publish on the connection there is, or fail at once."""
        connection = self._ready()
        if connection is None:
            return [self._unavailable()] * len(messages)
        return await connection.publish(messages)

    def post(self, message: Message) -> None:
        """Post on the connection there is, or fail at once."""
        connection = self._ready()
        if connection is None:
            raise self._unavailable()
        connection.post(message)

    def _ready(self) -> Connection | None:
        connection = self._connection
        if connection is None or not self._restored or connection.lost.done():
            return None
        return connection

    def _unavailable(self) -> BusUnavailableError:
        connection, reason = self._connection, self._reason
        if connection is not None and connection.lost.done():
            reason = connection.lost.result()
        return BusUnavailableError(f"not connected to {self.kind}: {reason}")

    async def _supervise(self, attempted: asyncio.Event) -> None:
        try:
            while not self._closing:
                try:
                    async with asyncio.timeout(OPEN_TIMEOUT):
                        connection = await self._open()
                    await self._serve(connection, attempted)
                except Exception as error:  # noqa: BLE001 (whatever failed, the next attempt may not)
                    self._attempt_failed(error)
                attempted.set()
                await asyncio.sleep(random.uniform(*RECONNECT_WAIT))  # noqa: S311 (jitter)
        finally:
            attempted.set()

    async def _serve(self, connection: Connection, attempted: asyncio.Event) -> None:
        """Use a connection until it is lost.

        Raises:
            BusUnavailableError: It was lost before it had all subscriptions.
        """
        if self._closing:
            await connection.close()
            return
        self._connection = connection
        try:
            await self._restore(connection)
            self._max_payload = connection.max_payload
            self._restored = True
            self._logged.clear()
            log.info("bus connected", bus=self.kind, server=connection.server)
            self._tell(connected=True, reason="")
            attempted.set()
            await asyncio.wait([connection.lost])
            self._reason = connection.lost.result()
            log.warning(
                "bus connection lost",
                bus=self.kind,
                server=connection.server,
                reason=self._reason,
            )
        finally:
            was_connected, self._restored, self._connection = self._restored, False, None
            if was_connected:
                self._tell(connected=False, reason=self._reason)
            await connection.close()

    async def _restore(self, connection: Connection) -> None:
        interests = list(self._subscriptions)
        for start in range(0, len(interests), _RESTORE_CHUNK):
            chunk = interests[start : start + _RESTORE_CHUNK]
            # Those that ended meanwhile have no subscriptions left.
            connection.subscribe([interest for interest in chunk if interest.subscriptions])
            await connection.flush(PING_TIMEOUT)

    def _attempt_failed(self, error: Exception) -> None:
        self._reason = reason = describe(error)
        log.debug("bus attempt failed", bus=self.kind, reason=reason)
        if reason not in self._logged and len(self._logged) < _MAX_REASONS:
            self._logged.add(reason)
            # A traceback only where it is not the server's doing.
            fault = {} if isinstance(error, (OSError, BusError)) else {"exc_info": error}
            log.warning("bus unavailable, trying on", bus=self.kind, reason=reason, **fault)

    def _tell(self, *, connected: bool, reason: str) -> None:
        for listener in self._listeners:
            try:
                listener(connected, reason)
            except Exception:
                # A safety net: a faulty listener must not keep the bus from reconnecting.
                log.exception("bus status listener failed", bus=self.kind)
