"""Records whose store is elsewhere: what the NATS and Redis adapters share."""

from abc import abstractmethod
from collections.abc import Sequence

from pogo.bus import BusUnavailableError
from pogo.bus.connection import Connection
from pogo.bus.supervised import Supervised
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


class RemoteRecords(Supervised[RecordsConnection]):
    """What the NATS and Redis adapters share: everything but their connections."""

    what = "records"

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

    async def _restore(self, connection: RecordsConnection) -> None:
        """Do nothing: a connection carries nothing of its own."""
