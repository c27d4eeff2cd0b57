"""Asking php-fpm, or anything else that speaks FastCGI, over connections that are kept."""

import asyncio
import contextlib
from pathlib import PurePosixPath
from typing import cast

from pogo.authsvc.errors import AuthError, UnreachableError
from pogo.authsvc.fastcgi import ResponseReader, encode_params, encode_request
from pogo.authsvc.forms import FORM
from pogo.authsvc.upstream import CONNECT_TIMEOUT, WorkerAnswer, WorkerRequest
from pogo.bus.connection import describe

KEEP_ALIVE = 5.0
"""Seconds for which a connection without a request is kept. To php-fpm they are part of the next
request, which `request_terminate_timeout` would end that much earlier."""


class FastCgiUpstream:
    """A FastCGI server on a Unix socket, or on TCP.

    A child of php-fpm serves one connection until it ends. So there are never more connections
    than calls under way, and those of calls that were given up are closed.
    """

    def __init__(
        self,
        *,
        script: str,
        max_body: int,
        socket_path: str = "",
        host: str = "",
        port: int = 0,
    ) -> None:
        """Run `script`, a path on the server's machine; answers have up to `max_body` bytes."""
        self._socket_path = socket_path
        self._host = host
        self._port = port
        self._max_body = max_body
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._params = encode_params(_script_params(script))

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Pass a request on.

        Raises:
            UnreachableError: The server cannot be reached, or hung up before it had answered.
            InvalidAnswerError: It does not speak FastCGI, or says more than it may.
        """
        data = encode_request(self._params + encode_params(_params(request)), request.body)
        kept = self._kept()
        if kept is not None:
            # It ends like that when the server had closed it, and does not read the request; or
            # when the script kills its process, which is to have no more than one chance more.
            with contextlib.suppress(_StaleConnectionError):
                return await self._ask(kept, data)
        connection = await self._connect()
        try:
            return await self._ask(connection, data)
        except _StaleConnectionError:
            raise UnreachableError("it hung up without an answer") from None

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _ask(self, connection: "_Connection", data: bytes) -> WorkerAnswer:
        try:
            answer = await connection.ask(data, ResponseReader(self._max_body))
        except BaseException:
            # Whatever would still arrive on it is of no use to anybody.
            connection.abort()
            raise
        if not connection.closed:
            connection.rest()
            self._idle.append(connection)
        return answer

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if self._socket_path:
                    _, protocol = await loop.create_unix_connection(
                        lambda: _Connection(self._open), self._socket_path
                    )
                else:
                    _, protocol = await loop.create_connection(
                        lambda: _Connection(self._open), self._host, self._port
                    )
        except OSError as error:
            where = self._socket_path or f"{self._host}:{self._port}"
            raise UnreachableError(f"cannot connect to {where}: {describe(error)}") from error
        return protocol


class _StaleConnectionError(Exception):
    """The connection ended before anything of the answer had come."""


class _Connection(asyncio.Protocol):
    """One connection; it carries one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, open_connections: "set[_Connection]") -> None:
        self._all = open_connections
        self._answer: asyncio.Future[WorkerAnswer] | None = None
        self._reader: ResponseReader | None = None
        self._has_answered = False
        self._resting: asyncio.TimerHandle | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._all.add(self)

    async def ask(self, data: bytes, reader: ResponseReader) -> WorkerAnswer:
        """Send a request, and wait for its answer.

        Raises:
            _StaleConnectionError: The connection ended before anything had come.
            AuthError: The answer is none.
        """
        self._wake()
        self._reader = reader
        self._has_answered = False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            return await self._answer
        finally:
            self._answer = self._reader = None

    def rest(self) -> None:
        """Close unless there is another request before long."""
        self._resting = asyncio.get_running_loop().call_later(KEEP_ALIVE, self.abort)

    def abort(self) -> None:
        """Close at once. Idempotent."""
        self._wake()
        self.closed = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read a piece of the answer."""
        if self._reader is None or self._answer is None or self._answer.done():
            # It speaks out of turn.
            self.abort()
            return
        self._has_answered = True
        try:
            answer = self._reader.receive(data)
        except AuthError as error:
            self._answer.set_exception(error)
        else:
            if answer is not None:
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the call that waits."""
        self._wake()
        self.closed = True
        self._all.discard(self)
        if self._answer is None or self._answer.done():
            return
        if self._has_answered:
            why = "" if exc is None else f": {describe(exc)}"
            self._answer.set_exception(UnreachableError(f"it hung up in its answer{why}"))
        else:
            self._answer.set_exception(_StaleConnectionError())

    def _wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None


def _script_params(script: str) -> list[tuple[str, str]]:
    """Say what is the same for every request."""
    path = PurePosixPath(script)
    return [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "pogo"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "POST"),
        ("QUERY_STRING", ""),
        ("CONTENT_TYPE", FORM),
        ("SCRIPT_FILENAME", script),
        ("SCRIPT_NAME", f"/{path.name}"),
        ("DOCUMENT_ROOT", str(path.parent)),
        # PHP refuses to run without it where it was built with force-cgi-redirect.
        ("REDIRECT_STATUS", "200"),
    ]


def _params(request: WorkerRequest) -> list[tuple[str, str]]:
    """Say what differs."""
    headers = dict(request.headers)
    # The first is the client's own, where several proxies have written.
    secure = headers.get("x-forwarded-proto", "").partition(",")[0].strip() == "https"
    name, _, port = request.host.rpartition(":") if request.host else ("", "", "")
    has_port = bool(name) and port.isdecimal()
    params = [
        ("REQUEST_URI", request.path),
        ("DOCUMENT_URI", request.path),
        ("CONTENT_LENGTH", str(len(request.body))),
        ("REMOTE_ADDR", request.remote),
        ("SERVER_NAME", name if has_port else request.host),
        ("SERVER_PORT", port if has_port else "443" if secure else "80"),
        ("HTTP_HOST", request.host),
    ]
    if secure:
        params.append(("HTTPS", "on"))
    params += [(f"HTTP_{key.upper().replace('-', '_')}", value) for key, value in headers.items()]
    return params
