"""A wire between PHP and a server, that counts connections and can lose answers."""

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import HOST

_SIZE = 65536


class Relay:
    """A proxy of a TCP port on a port of its own, or on the Unix socket of that path."""

    def __init__(self, target: int, path: Path | None = None) -> None:
        self._target = target
        self._path = path
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._loses_answers = False
        self.connections = 0
        """How many connections were opened so far."""
        self.heard = bytearray()
        """All that clients have said so far."""

    @property
    def port(self) -> int:
        """Where it listens, if on TCP."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """The same, with the host."""
        return f"{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        if self._path is None:
            self._server = await asyncio.start_server(self._connected, HOST, 0)
        else:
            self._server = await asyncio.start_unix_server(self._connected, self._path)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop()

    def lose_answers(self) -> None:
        """Pass on what clients say, but nothing that the server says, until `drop`."""
        self._loses_answers = True

    async def drop(self) -> None:
        """End all connections; new ones are whole."""
        tasks = tuple(self._carrying)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loses_answers = False
        await asyncio.sleep(0)  # transports close in the next turn

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            except OSError:
                return
            with contextlib.closing(far_writer):
                ways = [
                    asyncio.create_task(self._ask(reader, far_writer)),
                    asyncio.create_task(self._answer(far_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await client.read(_SIZE):
                self.heard += data
                server.write(data)
                await server.drain()

    async def _answer(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await server.read(_SIZE):
                if not self._loses_answers:
                    client.write(data)
                    await client.drain()
