"""A cable between a process and its server, that can be cut and mended."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.servers import HOST

_SIZE = 65536
_PATIENCE = 5.0

_T = TypeVar("_T")


class Cable:
    """A TCP proxy to a port of this machine, on a thread of its own.

    While it is cut, nothing passes in either direction and nobody is told: connections stay open,
    and new ones are accepted and hang. What was sent meanwhile arrives when it is mended, as it
    does after a partition of the network, where TCP sends it again.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._whole = asyncio.Event()
        self._whole.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable")
        self._thread.start()
        self._server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Let nothing pass from now on."""
        self._call(self._put(whole=False))

    def mend(self) -> None:
        """Let everything pass again. Harmless where it is not cut."""
        self._call(self._put(whole=True))

    def close(self) -> None:
        """End all connections, and the thread. Idempotent."""
        if self._thread.is_alive():
            self._call(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, HOST, 0)

    async def _put(self, *, whole: bool) -> None:
        if whole:
            self._whole.set()
        else:
            self._whole.clear()

    async def _end(self) -> None:
        self._server.close()
        tasks = tuple(self._carrying)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._join(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the server, and carry bytes both ways until one side ends."""
        with contextlib.closing(writer):
            await self._whole.wait()
            try:
                far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            except OSError:
                return
            with contextlib.closing(far_writer):
                ways = [
                    asyncio.create_task(self._carry(reader, far_writer)),
                    asyncio.create_task(self._carry(far_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_SIZE):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        # That one side has ended is no more seen through a cut than anything else.
        await self._whole.wait()
