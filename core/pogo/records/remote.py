"""Records whose store is elsewhere: what the NATS and Redis adapters share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pogo.bus import BusUnavailableError
from pogo.bus.connection import Connection
from pogo.bus.interface import StatusListener
from pogo.bus.supervisor import Supervisor
from pogo.records.interface import Record, RecordsError, RecordsUnavailableError, Write

PING_TIMEOUT = 1.5
"""Seconds that the store may leave a ping unanswered."""


class RecordsConnection(Connection):
    """One connection to the store of a bucket."""

    @abstractmethod
    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write records: see `Records.write`."""

    @abstractmethod
    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read records: see `Records.get`.

        Raises:
            BusUnavailableError, RecordsError: The store did not answer, or refused.
        """


class RemoteRecords(ABC):
    """What the NATS and Redis adapters share: everything but their connections."""

    kind: ClassVar[str]
    """The server's name in logs and errors."""

    def __init__(self) -> None:
        self._supervisor = Supervisor("records", self.kind, open_one=self._open, restore=_restore)

    @abstractmethod
    async def _open(self) -> RecordsConnection:
        """Connect and log in, once.

        Raises:
            Exception: Whatever the client library raises; none of it may hold a credential.
        """

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._supervisor.ready is not None

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` for each connection that is made or lost."""
        self._supervisor.add_listener(listener)

    async def start(self) -> None:
        """Start the supervisor, and wait for its first attempt."""
        await self._supervisor.start()

    async def close(self) -> None:
        """End the connection and stop the supervisor."""
        await self._supervisor.close()

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write on the connection there is, or fail at once."""
        connection = self._supervisor.ready
        if connection is None or not writes:
            return [self._unavailable()] * len(writes)
        try:
            return await connection.write(writes)
        except BusUnavailableError as error:
            return [RecordsUnavailableError(str(error))] * len(writes)

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read on the connection there is, or fail at once."""
        connection = self._supervisor.ready
        if connection is None:
            raise self._unavailable()
        if not keys:
            return []
        try:
            return await connection.get(keys)
        except BusUnavailableError as error:
            raise RecordsUnavailableError(str(error)) from error

    def _unavailable(self) -> RecordsUnavailableError:
        return RecordsUnavailableError(f"not connected to {self.kind}: {self._supervisor.reason}")


async def _restore(connection: RecordsConnection) -> None:
    """Do nothing: a connection carries nothing of its own."""
    del connection
