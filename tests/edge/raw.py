"""A client that has only a socket: it reads when it is told to, and sends any bytes."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol as WebSocketProtocol
from websockets.protocol import Side

from tests.edge.helpers import KEY, TIMEOUT

REQUEST = (
    "GET /app/{}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)

_RECEIVE_BUFFER = 16_384


class RawClient:
    """A connection after its handshake (or before it), with a small receive buffer."""

    def __init__(self, port: int, *, handshake: bool = True) -> None:
        self._port = port
        self._handshake = handshake
        self._socket = socket.socket()
        self._received = b""

    async def __aenter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        if self._handshake:
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

    async def send(self, message: str) -> None:
        """Send a text message."""
        await self.write(Frame(Opcode.TEXT, message.encode()).serialize(mask=True))

    def reset(self) -> None:
        """Vanish: the server's next write fails."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    async def subscribe(self, channel: str) -> None:
        """Subscribe to a public channel."""
        await self.send(f'{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}')
        await self.read_until(b"subscription_succeeded")

    async def read(self) -> bytes:
        """Receive whatever there is; nothing at the end."""
        loop = asyncio.get_running_loop()
        try:
            chunk = await asyncio.wait_for(loop.sock_recv(self._socket, 1 << 20), TIMEOUT)
        except ConnectionResetError:
            return b""
        self._received += chunk
        return chunk

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
        while not (closes := self._close_frames()):
            assert await self.read(), self._received[-500:]
        return int.from_bytes(bytes(closes[0].data)[:2], "big")

    def _close_frames(self) -> list[Frame]:
        """Read everything that has come since the handshake."""
        parser = WebSocketProtocol(Side.CLIENT, max_size=None)
        parser.receive_data(self._received.partition(b"\r\n\r\n")[2])
        frames = [frame for frame in parser.events_received() if isinstance(frame, Frame)]
        return [frame for frame in frames if frame.opcode is Opcode.CLOSE]
