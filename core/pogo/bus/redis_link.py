"""One socket to Redis: what the Redis adapter takes of redis-py.

redis-py connects, speaks TLS, logs in, asks sentinels and parses. Commands are written here without
waiting, since redis-py's `send_packed_command` waits for a frozen server and then drops the
connection in its own way; nothing is retried, since a connection that failed is not used again.
"""

import math
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from pogo.bus.interface import BusError, BusUnavailableError
from pogo.tls import ClientTls, TlsError

CONNECT_TIMEOUT = 2.0
"""Seconds to connect, and for each answer while logging in."""

SENTINEL_TIMEOUT = 0.5
"""Seconds for one sentinel to answer before the next is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """Where Redis is and how to log in."""

    host: str = "127.0.0.1"
    """The server; not used with sentinels."""
    port: int = 6379
    user: str = ""
    """An ACL user; empty for the default user."""
    password: str = field(default="", repr=False)
    db: int = 0
    """The database to select. Publish and subscribe do not depend on it; permissions may."""
    tls: bool = False
    """Whether to speak TLS, to the sentinels too. Certificates are checked."""
    client_tls: ClientTls = field(default_factory=ClientTls)
    """Whom to believe then, and what to show."""
    sentinels: tuple[str, ...] = ()
    """Each as `host:port`."""
    sentinel_master: str = "mymaster"
    """The name under which the sentinels know the master."""
    sentinel_password: str = field(default="", repr=False)
    name: str = "pogo"
    """What CLIENT LIST shows for the connections."""

    def check_tls(self) -> None:
        """See that the files that TLS needs can be used.

        Raises:
            BusUnavailableError: One cannot.
        """
        if self.tls:
            self.tls_context()

    def tls_context(self) -> ssl.SSLContext:
        """Make what one connection with TLS needs.

        Raises:
            BusUnavailableError: A file cannot be used.
        """
        try:
            return self.client_tls.context()
        except TlsError as error:
            raise BusUnavailableError(str(error)) from None

    def sentinel_addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each sentinel.

        Raises:
            BusError: One of them is not `host:port`.
        """
        addresses = []
        for sentinel in self.sentinels:
            host, _, port = sentinel.rpartition(":")
            if not host or not port.isdecimal():
                raise BusError(f"not a sentinel's address (host:port): {sentinel!r}")
            addresses.append((host.strip("[]"), int(port)))
        return addresses


class _TlsConnection(SSLConnection):
    """A connection with a context of ours.

    redis-py's own would always believe the system's authorities, too, and ask at the terminal for
    the passphrase of an encrypted key.
    """

    def __init__(self, *, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


class Link:
    """A connection of redis-py, logged in, and read and written without its help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        writer = connection._writer  # noqa: SLF001 (redis-py has no other way to write at once)
        if writer is None:
            raise BusUnavailableError("the connection was closed while logging in")
        self._transport = writer.transport

    @classmethod
    async def open(cls, options: RedisOptions, host: str, port: int) -> "Link":
        """Connect and log in, once.

        Raises:
            RedisError: The server is not there, not ready, or refuses us.
            BusUnavailableError: A sentinel named it the master, and it is none, or a file that TLS
                needs cannot be used.
        """
        how: dict[str, Any] = {"context": options.tls_context()} if options.tls else {}
        connection = (_TlsConnection if options.tls else Connection)(
            host=host,
            port=port,
            db=options.db,
            username=options.user or None,
            password=options.password or None,
            client_name=options.name,
            # RESP2 has no push messages: each reply is the answer to a command, or a delivery.
            protocol=2,
            socket_timeout=CONNECT_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            driver_info=None,
            **how,
        )
        try:
            # Connects and logs in first. A server that is still loading answers with an error.
            await connection.send_command("PING")
            await connection.read_response()
            if options.sentinels:
                await _require_master(connection)
            return cls(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    def send(self, commands: bytes) -> None:
        """Write, or buffer what the socket does not take."""
        if not self._transport.is_closing():
            self._transport.write(commands)

    def unsent(self) -> int:
        """Return how many bytes the server has not taken yet."""
        return self._transport.get_write_buffer_size()

    async def receive(self) -> Any:
        """Return the next reply; an error reply is returned, not raised.

        Raises:
            BusUnavailableError: The connection is lost.
        """
        try:
            return await self._connection.read_response(timeout=math.inf, disconnect_on_error=False)
        except ResponseError as error:
            return error
        except (OSError, RedisError) as error:
            raise BusUnavailableError(str(error)) from error

    def abort(self) -> None:
        """Drop the connection, with whatever was not sent yet."""
        self._transport.abort()

    async def close(self) -> None:
        """Let redis-py know that the connection is gone."""
        await self._connection.disconnect(nowait=True)


async def find_master(options: RedisOptions) -> tuple[str, int]:
    """Ask the sentinels, one after the other, where the master is.

    Raises:
        RedisError: None of them knows, or none of them answers.
    """
    common: dict[str, Any] = {
        "password": options.sentinel_password or None,
        "protocol": 2,
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    addresses = options.sentinel_addresses()
    async with Sentinel(addresses, sentinel_kwargs=common) as sentinel:  # type: ignore[no-untyped-call]  # redis-py has no types here
        if options.tls:
            context = options.tls_context()
            for asked in sentinel.sentinels:
                asked.connection_pool.connection_class = _TlsConnection
                asked.connection_pool.connection_kwargs["context"] = context
        host, port = await sentinel.discover_master(options.sentinel_master)
    return str(host), int(port)


async def _require_master(connection: Connection) -> None:
    await connection.send_command("ROLE")
    role: Sequence[Any] = await connection.read_response()
    if role[0] != b"master":
        raise BusUnavailableError("the master was demoted a moment ago")


def command(*words: bytes) -> bytes:
    """Encode one command."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(w), w) for w in words])
