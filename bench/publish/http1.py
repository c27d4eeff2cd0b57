"""Requests by HTTP/1.1, one at a time on each connection, as server SDKs make them."""

import asyncio
from collections.abc import Sequence
from typing import cast

from bench.cluster import BenchError

_DONE = b"HTTP/1.1 200 "
_BODY = b"\r\n\r\n{}"
_CLOSE = b"\r\nconnection: close\r\n"


class HttpCalls:
    """Sends requests on as many connections as there are requests in flight.

    A connection that the server closes after its answer is opened anew.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._connections: list[_Connection] = []

    async def run(self, requests: Sequence[bytes], calls: int, window: int) -> None:
        """Send so many requests, `window` of them at a time, and wait until all are answered.

        Raises:
            BenchError: One was answered with something else than `200 {}`.
        """
        left = iter(range(calls))

        async def caller(connection: _Connection) -> None:
            for number in left:
                await connection.ask(requests[number % len(requests)])

        connections = [_Connection(self._host, self._port) for _ in range(window)]
        self._connections += connections
        await asyncio.gather(*map(caller, connections))

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._transport: asyncio.Transport | None = None
        self._answer = b""
        self._done: asyncio.Future[None] | None = None

    async def ask(self, request: bytes) -> None:
        """Send a request, and wait for its answer."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, *self._address)
        assert self._transport is not None
        self._answer = b""
        self._done = loop.create_future()
        self._transport.write(request)
        await self._done

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        # uvloop's are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(BenchError(f"the connection was lost: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Take an answer, which may come in pieces."""
        self._answer += data
        if self._done is None or self._done.done():
            return
        if not self._answer.startswith(_DONE[: len(self._answer)]):
            self._done.set_exception(BenchError(f"an event was not published: {self._answer!r}"))
        elif self._answer.endswith(_BODY):
            if _CLOSE in self._answer.lower():
                self.close()
            self._done.set_result(None)
