"""A client that has only a socket: it reads when it is told to, and sends any bytes."""

import asyncio
import re
import socket
from types import TracebackType
from typing import Self

from websockets.frames import Frame, Opcode

from tests.edge.helpers import KEY, TIMEOUT

REQUEST = (
    "GET /app/{}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)

_RECEIVE_BUFFER = 16_384


class RawClient:
    """A connection after its handshake, with a small receive buffer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.socket()

    async def __aenter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        await self.write(REQUEST.format(KEY).encode())
        await self.read_until(b"socket_id")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def subscribe(self, channel: str) -> None:
        """Subscribe to a public channel."""
        message = b'{"event":"pusher:subscribe","data":{"channel":"%b"}}' % channel.encode()
        await self.write(Frame(Opcode.TEXT, message).serialize(mask=True))
        await self.read_until(b"subscription_succeeded")

    async def read(self) -> bytes:
        """Receive whatever there is; nothing at the end."""
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.sock_recv(self._socket, 1 << 20), TIMEOUT)
        except ConnectionResetError:
            return b""

    async def read_until(self, text: bytes) -> bytes:
        """Receive until some bytes have come."""
        received = b""
        while text not in received:
            chunk = await self.read()
            assert chunk, received[-500:]
            received += chunk
        return received

    async def read_bytes(self, count: int) -> bytes:
        """Receive at least so many bytes."""
        received = b""
        while len(received) < count:
            chunk = await self.read()
            assert chunk, received[-500:]
            received += chunk
        return received

    async def read_to_end(self) -> bytes:
        """Receive until the server closes."""
        received = b""
        while chunk := await self.read():
            received += chunk
        return received

    async def close_code(self) -> int:
        """Receive until a close frame has come, and tell its code."""
        received = b""
        while (frame := re.search(rb"\x88[\x02-\x7d](..)", received, re.DOTALL)) is None:
            chunk = await self.read()
            assert chunk, received[-500:]
            received += chunk
        return int.from_bytes(frame[1], "big")
