"""Keeps one connection to a server open for ever, and says whether there is one.

A supervisor's task opens a connection, has what it carries restored, waits until it is lost and
opens the next. It counts as connected only between the last two.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from pogo.bus.connection import Connection, describe
from pogo.bus.interface import BusError, BusUnavailableError, StatusListener

log = structlog.get_logger()

OPEN_TIMEOUT = 5.0
"""Seconds for one attempt to connect and log in, name look-ups and sentinels included."""

RECONNECT_WAIT = (0.1, 0.5)
"""Seconds between attempts, at random, so that a cluster's nodes do not come back as one."""

_MAX_REASONS = 10
"""Different reasons why attempts fail that are logged in one outage."""

_C = TypeVar("_C", bound=Connection)


class Supervisor(Generic[_C]):
    """The connection there is, or the next one.

    Args:
        what: What connects, for logs: `bus`, `registry`.
        kind: The server's name in logs and errors.
        open_one: Connects and logs in, once. Whatever it raises, the next attempt may not; it
            must not hold a credential.
        restore: Gives a new connection what it has to carry. A `BusUnavailableError` means that
            the connection was lost before it had everything.
    """

    def __init__(
        self,
        what: str,
        kind: str,
        *,
        open_one: Callable[[], Awaitable[_C]],
        restore: Callable[[_C], Awaitable[None]],
    ) -> None:
        self._what = what
        self._kind = kind
        self._open_one = open_one
        self._restore = restore
        # The connection there is, and whether it has all it carries yet.
        self.connection: _C | None = None
        self._restored = False
        self._reason = "not started"
        self._listeners: list[StatusListener] = []
        self._task: asyncio.Task[None] | None = None
        # Said beside cancelling the task, because `asyncio.wait_for` of Python 3.11, which both
        # client libraries use, swallows a cancellation that comes together with its result.
        self._closing = False
        # Why attempts failed since there was a connection, as far as it was logged.
        self._logged: set[str] = set()

    @property
    def ready(self) -> _C | None:
        """The connection, if there is one that has everything."""
        connection = self.connection
        if connection is None or not self._restored or connection.lost.done():
            return None
        return connection

    @property
    def reason(self) -> str:
        """Why there is none."""
        connection = self.connection
        if connection is not None and connection.lost.done():
            return connection.lost.result()
        return self._reason

    def add_listener(self, listener: StatusListener) -> None:
        """Call `listener` for each connection that is made or lost."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin, and wait for the first attempt."""
        attempted = asyncio.Event()
        self._task = asyncio.create_task(self._run(attempted))
        await attempted.wait()

    async def close(self) -> None:
        """End the connection, and make no other. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            self._reason = "closed"
            self._closing = True
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, attempted: asyncio.Event) -> None:
        try:
            while not self._closing:
                try:
                    async with asyncio.timeout(OPEN_TIMEOUT):
                        connection = await self._open_one()
                    await self._serve(connection, attempted)
                except Exception as error:  # noqa: BLE001 (whatever failed, the next attempt may not)
                    self._attempt_failed(error)
                attempted.set()
                await asyncio.sleep(random.uniform(*RECONNECT_WAIT))  # noqa: S311 (jitter)
        finally:
            attempted.set()

    async def _serve(self, connection: _C, attempted: asyncio.Event) -> None:
        """Use a connection until it is lost.

        Raises:
            BusUnavailableError: It was lost before it had everything.
        """
        if self._closing:
            await connection.close()
            return
        self.connection = connection
        try:
            await self._restore(connection)
            if connection.lost.done():
                raise BusUnavailableError(connection.lost.result())
            self._restored = True
            self._logged.clear()
            log.info(self._event("connected"), **self._where(connection))
            self._tell(connected=True, reason="")
            attempted.set()
            await asyncio.wait([connection.lost])
            self._reason = reason = connection.lost.result()
            log.warning(self._event("connection lost"), **self._where(connection), reason=reason)
        finally:
            was_connected, self._restored, self.connection = self._restored, False, None
            if was_connected:
                self._tell(connected=False, reason=self._reason)
            await connection.close()

    def _event(self, what: str) -> str:
        return f"{self._what} {what}"

    def _where(self, connection: _C) -> dict[str, str]:
        return {"kind": self._kind, "server": connection.server}

    def _attempt_failed(self, error: Exception) -> None:
        self._reason = reason = describe(error)
        log.debug(self._event("attempt failed"), kind=self._kind, reason=reason)
        if reason not in self._logged and len(self._logged) < _MAX_REASONS:
            self._logged.add(reason)
            # A traceback only where it is not the server's doing.
            fault = {} if isinstance(error, (OSError, BusError)) else {"exc_info": error}
            log.warning(
                self._event("unavailable, trying on"), kind=self._kind, reason=reason, **fault
            )

    def _tell(self, *, connected: bool, reason: str) -> None:
        for listener in self._listeners:
            try:
                listener(connected, reason)
            except Exception:
                # A safety net: a faulty listener must not keep anyone from reconnecting.
                log.exception(self._event("status listener failed"), kind=self._kind)
