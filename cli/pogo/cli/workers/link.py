"""The connection between a worker and its parent: a socket pair that the worker inherits.

The worker sends messages, each after its length in 4 bytes: an empty one when it is ready, then a
metrics page for every line that the parent sends. The ends of the stream say the rest: a worker
that closes its side takes no more clients, and a parent that closes its side is no more.
"""

import asyncio
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable

from pogo.telemetry import get_logger

_MAX_WAITING = 16
"""Questions that may wait for one worker: with more, it is taken for hanging."""

_LENGTH = struct.Struct("!I")

_log = get_logger()


class WorkerLink:
    """The parent's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        # How many messages have come.
        self.heard = 0
        # Set when the worker takes no more clients, or has ended.
        self.withdrawn = asyncio.Event()

    async def open(self) -> None:
        """Begin to read."""
        reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._ready = self._expect()
        self._reading = asyncio.create_task(self._read(reader))

    async def ready(self) -> None:
        """Wait until there may be clients, as long as it takes.

        Raises:
            ConnectionError: The worker has ended before.
        """
        await asyncio.shield(self._ready)

    async def metrics(self) -> bytes:
        """Ask for the metrics page, and wait for it as long as it takes.

        Raises:
            ConnectionError: The worker takes no more questions, or does not answer them.
        """
        if self.withdrawn.is_set() or len(self._waiting) >= _MAX_WAITING:
            raise ConnectionError("the worker does not answer")
        return await self._ask()

    def poke(self) -> None:
        """See to it that there is an answer to come."""
        if not self._waiting:
            self._ask()

    async def close(self) -> None:
        """Close it. Idempotent."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    def _ask(self) -> asyncio.Future[bytes]:
        self._writer.write(b"\n")
        return self._expect()

    def _expect(self) -> asyncio.Future[bytes]:
        message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(message)
        return message

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                message = await reader.readexactly(length)
                self.heard += 1
                waiting = self._waiting.popleft()
                # Whoever asked may have given up.
                if not waiting.done():
                    waiting.set_result(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.withdrawn.set()
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the worker has ended"))
                    # Nobody need be waiting.
                    waiting.exception()
            self._waiting.clear()


class ParentLink:
    """The worker's end. Without its parent, the worker stops as by SIGTERM.

    A parent that ends while it stops its workers has been told to be quick, and then this is the
    second SIGTERM, which ends a worker at once.

    Args:
        sock: The socket that was inherited.
        metrics: Makes the metrics page.
    """

    def __init__(self, sock: socket.socket, metrics: Callable[[], bytes]) -> None:
        self._sock = sock
        self._metrics = metrics
        self._is_withdrawn = False

    async def open(self) -> None:
        """Begin to heed the parent."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._serving = asyncio.create_task(self._serve())
        self._serving.add_done_callback(_stop_after)

    def ready(self) -> None:
        """Say that there may be clients."""
        self._send(b"")

    def withdraw(self) -> None:
        """Say that there may be no more clients."""
        self._is_withdrawn = True
        self._writer.write_eof()

    async def close(self) -> None:
        """Close it. Idempotent."""
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self._writer.close()

    async def _serve(self) -> None:
        try:
            async for _ in self._reader:
                if not self._is_withdrawn:
                    self._send(self._metrics())
                    await self._writer.drain()
        except ConnectionError:
            pass
        _log.warning("the parent is no more: stopping")

    def _send(self, message: bytes) -> None:
        self._writer.write(_LENGTH.pack(len(message)) + message)


def _stop_after(task: asyncio.Task[None]) -> None:
    """Stop the worker when there is no parent, or when it cannot be heeded."""
    if task.cancelled():
        return
    signal.raise_signal(signal.SIGTERM)
    if task.exception() is not None:
        _log.error("the link to the parent failed: stopping", exc_info=task.exception())
