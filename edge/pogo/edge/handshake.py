"""The first request of a socket: a WebSocket handshake, or something for the pages.

Whoever connects in vain is told why in terms of the Pusher protocol: the handshake is accepted,
and the connection closed with a code. An HTTP error would reach a browser as 1006 without a
reason, and pusher-js would try again for ever.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, cast

from websockets.http11 import Request

from pogo.edge.remote import HandshakeRate
from pogo.edge.sweeper import Sweeper
from pogo.edge.websocket import new_handshake
from pogo.pusher.handshake import PATH_PREFIX
from pogo.serving import RemoteAddresses
from pogo.tls import Handshakes

MAX_HEAD = 16 * 1024
"""Bytes of a request's head, as node and uvicorn allow; cookies are most of it."""

_LOOK_AGAIN = 0.02
"""Seconds between two looks at what is under way while the edge drains."""

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_REFUSAL = "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}"


class Acceptor(Protocol):
    """What a handshake asks of the edge."""

    def accept(
        self, transport: asyncio.Transport, request: Request, response: bytes, early: bytes
    ) -> None:
        """Take over a socket whose handshake is valid.

        `response` is yet to be sent; `early` is what the client has sent after its request.
        """

    def handshake_refused(self, reason: str) -> None:
        """Count a handshake that got an HTTP error."""


@dataclass(slots=True)
class HandshakeContext:
    """What all handshakes of an edge share."""

    acceptor: Acceptor
    addresses: RemoteAddresses
    loop: asyncio.AbstractEventLoop
    new_page_handler: Callable[[], asyncio.Protocol]
    rate: HandshakeRate
    sweeper: Sweeper
    timeout: float
    """Seconds that a client has for its request."""
    max_open: int
    """The most handshakes that may be under way."""
    open: "set[Handshake]" = field(default_factory=set)
    """Those that are."""
    tls: Handshakes | None = None
    """Those of TLS, which come before; none where there is no TLS."""
    draining: bool = False
    """Whether everyone comes too late."""

    async def drain(self, patience: float) -> None:
        """Let the handshakes that are under way end, then refuse what is left, and all that come.

        It waits for `patience` seconds at the most. Whoever gets through is closed like everyone
        else, with a code that says when to come back; a refusal here has none.
        """
        deadline = self.loop.time() + patience
        # What was accepted in this turn of the loop is among them in the next.
        await asyncio.sleep(0)
        while self._is_busy() and self.loop.time() < deadline:  # noqa: ASYNC110 (costs nothing until then)
            await asyncio.sleep(_LOOK_AGAIN)
        self.draining = True
        for handshake in list(self.open):
            handshake.give_up("the server is shutting down")

    def _is_busy(self) -> bool:
        return bool(self.open) or (self.tls is not None and self.tls.under_way > 0)


class Handshake(asyncio.Protocol):
    """A socket until its first request has been read."""

    __slots__ = ("_buffer", "_context", "_deadline", "_transport", "sweep_at")

    _transport: asyncio.Transport

    def __init__(self, context: HandshakeContext) -> None:
        self._context = context
        self._buffer = bytearray()
        self.sweep_at = 0
        self._deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        # A uvloop transport is one by its methods only.
        self._transport = cast(asyncio.Transport, transport)
        context = self._context
        if context.draining:
            self.give_up("the server is shutting down")
            return
        if len(context.open) >= context.max_open:
            self.give_up("too many connections are being made")
            return
        context.open.add(self)
        self._deadline = context.loop.time() + context.timeout
        context.sweeper.schedule(self, self._deadline)

    def data_received(self, data: bytes) -> None:
        """Read the head of the request, then decide whose it is."""
        # Empty lines before a request are to be ignored (RFC 9112, section 2.2).
        self._buffer = (self._buffer + data).lstrip(b"\r\n")
        head, separator, early = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            if len(self._buffer) > MAX_HEAD:
                self._refuse("431 Request Header Fields Too Large", "the head is too large\n")
            return
        self._leave()
        head += separator
        if _is_websocket(bytes(head)):
            self._upgrade(bytes(head), bytes(early))
        else:
            self._hand_over(bytes(self._buffer))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client that went away."""
        del exc
        self._leave()

    def sweep(self, now: float) -> float | None:
        """Refuse a client that takes too long."""
        if now < self._deadline:
            return self._deadline
        self._refuse("408 Request Timeout", "the handshake took too long\n")
        return None

    def give_up(self, reason: str) -> None:
        """Refuse a client that is not to blame."""
        self._refuse("503 Service Unavailable", f"{reason}\n")

    def _upgrade(self, head: bytes, early: bytes) -> None:
        context = self._context
        reader = new_handshake()
        reader.receive_data(head)
        requests = reader.events_received()
        if not requests:
            answer = b"".join(reader.data_to_send())
            if answer:
                self._end(answer, answer[9:12].decode())
            else:
                self._refuse("400 Bad Request", "this is not a valid HTTP request\n")
            return
        request = requests[0]
        assert isinstance(request, Request)
        client = context.addresses.client(
            peer_address(self._transport), request.headers.get_all("X-Forwarded-For")
        )
        if not context.rate.allows(client, context.loop.time()):
            response = reader.reject(
                HTTPStatus.TOO_MANY_REQUESTS, "Too many connections from your address: slow down.\n"
            )
            response.headers["Retry-After"] = "1"
            self._end(response.serialize(), "429")
            return
        response = reader.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._end(response.serialize(), str(response.status_code))
            return
        context.acceptor.accept(self._transport, request, response.serialize(), early)

    def _refuse(self, status: str, text: str) -> None:
        """Answer what cannot become a handshake."""
        self._leave()
        self._end(_REFUSAL.format(status, len(text), text).encode(), status[:3])

    def _end(self, response: bytes, reason: str) -> None:
        self._context.acceptor.handshake_refused(reason)
        self._transport.write(response)
        self._transport.close()

    def _hand_over(self, received: bytes) -> None:
        """Let the pages answer, from the first byte on."""
        handler = self._context.new_page_handler()
        self._transport.set_protocol(handler)
        handler.connection_made(self._transport)
        handler.data_received(received)

    def _leave(self) -> None:
        self._context.open.discard(self)
        self._context.sweeper.cancel(self)


def _is_websocket(head: bytes) -> bool:
    """Whether a request is for the WebSocket side: by its path, or by what it asks for."""
    target = head.split(b" ", 2)[1:2]
    return _UPGRADE.search(head) is not None or (
        bool(target) and target[0].startswith(PATH_PREFIX.encode())
    )


def peer_address(transport: asyncio.Transport) -> str:
    """Tell the address of the other end; a Unix socket has none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else "unix"
