"""Commands gathered during one turn of the event loop, and then written together."""

import asyncio
from collections.abc import Callable

from pogo.bus.interface import BusQueueFullError

MAX_MESSAGES = 1024
"""Posted messages of one turn: what ten clients may send at once with the default burst."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes posted in one turn or still unsent: eight of the largest messages."""


class Outbox:
    """Waits for the end of the turn, so that many small commands make one system call.

    Messages are bounded, in number and in bytes; when it is full, the newest is refused. Commands
    that keep the connection's state are not: they cannot be dropped, and there are only as many as
    subscriptions change within one turn.
    """

    def __init__(self, write: Callable[[bytes, int], None], unsent: Callable[[], int]) -> None:
        """Create an outbox.

        Args:
            write: Takes the commands of a turn, and how many of them are messages.
            unsent: Tells how many bytes, written earlier, the peer has not taken yet.
        """
        self._write = write
        self._unsent = unsent
        self._commands: list[bytes] = []
        self._messages = 0
        self._bytes = 0
        self._handle: asyncio.Handle | None = None

    def put(self, command: bytes) -> None:
        """Add a command that keeps the connection's state."""
        self._commands.append(command)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self.flush)

    def post(self, command: bytes) -> None:
        """Add a message.

        Raises:
            BusQueueFullError: The outbox is full; the message was dropped.
        """
        if self._messages >= MAX_MESSAGES:
            raise BusQueueFullError(f"{MAX_MESSAGES} messages wait to be sent")
        if self._bytes + len(command) + self._unsent() > MAX_BYTES:
            raise BusQueueFullError(f"{MAX_BYTES} bytes wait to be sent")
        self.put(command)
        self._messages += 1
        self._bytes += len(command)

    def flush(self) -> None:
        """Write everything now."""
        if self._commands:
            commands, messages = b"".join(self._commands), self._messages
            self.clear()
            self._write(commands, messages)

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._commands.clear()
        self._messages = self._bytes = 0
