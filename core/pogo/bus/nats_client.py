"""What the NATS adapter takes of nats-py, and the private hooks that it needs for that.

nats-py opens a connection, speaks TLS, logs in, reads and parses; the rest is done by
`pogo.bus.nats`, because:

- its subscription costs a task and a queue. Here a message goes by its `sid` straight to the
  handlers, in `NatsClient._process_msg`;
- its reconnecting keeps one client for several connections: a `flush` that succeeds may then have
  been answered by another server than the one that took the messages, and an error such as an
  authorization violation ends the client for ever. Here each connection has a client of its own;
- its `flush` cancels the future of a late PONG, which then stops the read loop without a word; its
  closing waits for a frozen server. Here pings are answered in order and a connection is aborted.

These hooks are why nats-py is pinned exactly; `tests/bus/test_nats_client.py` names them all.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from pogo.bus.interface import BusError, BusUnavailableError
from pogo.bus.nats_login import ANONYMOUS, NatsLogin
from pogo.bus.subscriptions import Interest, deliver

CONNECT_TIMEOUT = 2
"""Seconds for each step of connecting: the TCP connection, the server's INFO, its first PONG."""

_READ_SIZE = 32 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """One of the servers of `nats_url`, and how to log in there."""

    scheme: str
    host: str
    port: int
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    login: NatsLogin = ANONYMOUS
    """How to log in where the URL does not say."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str, login: NatsLogin = ANONYMOUS) -> "Address":
        """Read `nats://user:password@host:port`; a user without a password is a token.

        `login` says who connects where the URL does not.

        Raises:
            BusError: It is no such URL. The message holds no credential.
        """
        shown = url.rpartition("@")[2]
        wrong = BusError(f"not a NATS URL (nats://host:port or tls://host:port): {shown!r}")
        try:
            parts = urlsplit(url if "://" in url else f"nats://{url}")
            host, port = parts.hostname, parts.port or 4222
        except ValueError:
            raise wrong from None
        if not host or parts.scheme not in ("nats", "tls"):
            raise wrong
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.scheme, host, port, user, password, login)

    def options(self) -> dict[str, Any]:
        """Return nats-py's connect options for this server.

        Raises:
            BusUnavailableError: A file that is needed cannot be used.
        """
        options: dict[str, Any] = {"servers": [f"{self.scheme}://{self}"]}
        if self.scheme == "tls":
            options |= self.login.tls_options()
        if self.user is None:
            options |= self.login.options()
        elif self.password is None:
            options["token"] = self.user
        else:
            options["user"], options["password"] = self.user, self.password
        return options


class Transport(TcpTransport):
    """A TCP or TLS connection that is written without waiting and can be dropped at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nats-py has no types here

    async def connect_tls(self, *args: Any, **options: Any) -> None:
        """Go on with TLS."""
        await super().connect_tls(*args, **options)
        # asyncio's reader would not know, and an event loop warns of that when the server closes.
        assert self._io_writer is not None
        cast(Any, self._io_writer.transport.get_protocol())._over_ssl = True  # noqa: SLF001

    def send(self, commands: bytes) -> None:
        """Write, or buffer what the socket does not take."""
        if self._io_writer is not None and not self._io_writer.is_closing():
            self._io_writer.write(commands)

    def unsent(self) -> int:
        """Return how many bytes the server has not taken yet."""
        writer = self._io_writer
        return 0 if writer is None else writer.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Drop the connection, with whatever was not sent yet."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class Owner(Protocol):
    """Whoever a client reports to."""

    def pinged(self) -> None:
        """Take a PING of the server."""

    def ponged(self) -> None:
        """Take a PONG."""

    def failed(self, text: str) -> None:
        """Take an -ERR, in small letters."""

    def lose(self, reason: str) -> None:
        """Take that the connection is lost."""


class NatsClient(Client):
    """A nats-py client for one connection: it reports to its owner and never reconnects."""

    def __init__(self, owner: Owner, address: Address) -> None:
        super().__init__()
        self._owner = owner
        self._address = address
        self.transport = Transport()
        # What the server was told of, by sid.
        self.interests: dict[int, Interest] = {}

    @property
    def server_info(self) -> dict[str, Any]:
        """What the server said of itself when it was connected to."""
        info: dict[str, Any] = self._server_info
        return info

    async def open(self, name: str) -> asyncio.Task[None]:
        """Connect and log in, once; return the task that reads from then on.

        Raises:
            BusUnavailableError: The server does not answer as it should.
            OSError, nats.errors.Error: It is not there, or refuses us.
        """
        await self.connect(
            **self._address.options(),
            name=name,
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            error_cb=_ignore,
            pending_size=0,
        )
        reading = self._reading_task
        if reading is None or not self.is_connected:
            raise BusUnavailableError("the server did not answer the first PING")
        return reading

    def abort(self) -> None:
        """End it at once, without waiting for anything."""
        self._status = Client.CLOSED
        self.transport.abort()
        if self._reading_task is not None:
            self._reading_task.cancel()

    async def _select_next_server(self) -> None:
        # Tried once: nats-py would try for ever.
        server = self._server_pool[0]
        self._transport = self.transport
        await self.transport.connect(server.uri, _READ_SIZE, CONNECT_TIMEOUT)
        self._current_server = server

    def _connect_command(self) -> bytes:
        # The last moment before the password leaves: nats-py encrypts only if the server asks.
        if self._address.scheme == "tls" and not self._server_info.get("tls_required"):
            raise nats.errors.Error("the server does not offer TLS")
        return super()._connect_command()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        del subject, reply, headers
        interest = self.interests.get(sid)
        if interest is not None:
            deliver(interest, data)

    async def _process_ping(self) -> None:
        self._owner.pinged()

    async def _process_pong(self) -> None:
        self._owner.ponged()

    async def _process_err(self, err_msg: str) -> None:
        self._owner.failed(err_msg.strip("'"))

    async def _process_op_err(self, e: Exception) -> None:
        self._owner.lose(str(e) or type(e).__name__)

    async def _ping_interval(self) -> None:
        """Nothing: `Connection` pings, with a time-out of its own."""

    async def _flusher(self) -> None:
        """Nothing: `Outbox` writes, once a turn of the loop."""


async def _ignore(error: Exception) -> None:
    """Take what nats-py reports here: it raises the same, or ends the connection with it."""
