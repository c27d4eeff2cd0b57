"""What the stores share that are on a server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from pogo.bus import BusError
from pogo.bus.connection import Connection
from pogo.bus.supervised import Supervised
from pogo.webhooks.interface import (
    CONFIRM_TIMEOUT,
    Item,
    StoreUnavailableError,
    WebhookStoreError,
    too_large,
)

PING_TIMEOUT = 1.5
"""Seconds that the store may leave a ping unanswered."""

LEAD_TIMEOUT = 10.0
"""Seconds to take a lead in, since it reads the whole ledger of an app."""

_C = TypeVar("_C", bound=Connection)


class Remote(Supervised[_C]):
    """A connection to a store, or why there is none."""

    @property
    def ready(self) -> _C:
        """The connection there is.

        Raises:
            StoreUnavailableError: There is none.
        """
        connection = self._supervisor.ready
        if connection is None:
            reason = self._supervisor.reason
            raise StoreUnavailableError(f"not connected to {self.kind}: {reason}")
        return connection

    async def _restore(self, connection: _C) -> None:
        """Do nothing: a connection subscribes by itself."""


Outcomes = list[WebhookStoreError | None]
"""Of each event `None`, or why it was not stored."""


async def store_fitting(
    items: Sequence[Item], limit: int, store: Callable[[Sequence[Item]], Awaitable[Outcomes]]
) -> Outcomes:
    """Store events that have `limit` bytes at the most, and refuse the others."""
    outcomes = [too_large(item, limit) for item in items]
    fitting = [item for item, error in zip(items, outcomes, strict=True) if error is None]
    stored = iter(await store(fitting) if fitting else ())
    return [next(stored) if error is None else error for error in outcomes]


@contextlib.asynccontextmanager
async def in_time(within: float = CONFIRM_TIMEOUT) -> AsyncIterator[None]:
    """Have a store answer.

    Raises:
        StoreUnavailableError: It did not in time, or refused.
    """
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError:
        raise StoreUnavailableError(f"no answer within {within:g} s") from None
    except BusError as error:
        raise StoreUnavailableError(str(error)) from error
