"""What every adapter is whose server is elsewhere: one connection, kept open by a supervisor."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from pogo.bus.connection import Connection
from pogo.bus.interface import StatusListener
from pogo.bus.supervisor import Supervisor

_C = TypeVar("_C", bound=Connection)


class Supervised(ABC, Generic[_C]):
    """An adapter, without what it is for."""

    what: ClassVar[str]
    """What connects, for logs: `bus`, `registry`."""

    kind: ClassVar[str]
    """The server's name in logs and errors."""

    def __init__(self, name: str = "") -> None:
        """Make one; `name` is for logs, where a process has several that are for the same."""
        self._supervisor: Supervisor[_C] = Supervisor(
            name or self.what, self.kind, open_one=self._open, restore=self._restore
        )

    @abstractmethod
    async def _open(self) -> _C:
        """Connect and log in, once.

        Raises:
            Exception: Whatever the client library raises; none of it may hold a credential.
        """

    @abstractmethod
    async def _restore(self, connection: _C) -> None:
        """Give a new connection what it has to carry.

        Raises:
            BusUnavailableError: It was lost before it had everything.
        """

    @property
    def connected(self) -> bool:
        """Whether there is a connection that has everything."""
        return self._supervisor.ready is not None

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` for each connection that is made or lost."""
        self._supervisor.add_listener(listener)

    async def start(self) -> None:
        """Start the supervisor, and wait for its first attempt."""
        await self._supervisor.start()

    async def close(self) -> None:
        """End the connection and stop the supervisor. Idempotent."""
        await self._supervisor.close()
