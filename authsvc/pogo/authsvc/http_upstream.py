"""Asking an HTTP server: nginx, Octane, FrankenPHP, `php -S`."""

import aiohttp

from pogo.authsvc.errors import InvalidAnswerError, UnreachableError
from pogo.authsvc.forms import FORM
from pogo.authsvc.upstream import CONNECT_TIMEOUT, WorkerAnswer, WorkerRequest
from pogo.bus.connection import describe

_KEEP_ALIVE = 15.0
"""Seconds for which an idle connection is kept; less than the servers' own, 60 or 75 mostly, so
that they seldom close one while a request is on its way."""


class HttpUpstream:
    """An HTTP server; a path of its URL stands before that of every request."""

    def __init__(self, url: str, *, max_body: int, connections: int) -> None:
        """Ask below `url`, over `connections` at the most; answers have up to `max_body` bytes."""
        self._url = url
        self._max_body = max_body
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Pass a request on.

        Raises:
            UnreachableError: The server cannot be reached, or hung up before it had answered.
            InvalidAnswerError: It does not speak HTTP, or says more than it may.
        """
        try:
            try:
                return await self._post(request)
            except aiohttp.ServerDisconnectedError:
                # A kept connection that the server closed as it was asked, most likely; a request
                # that kills whoever reads it is to have no more than one chance more.
                return await self._post(request)
        except (aiohttp.ClientPayloadError, aiohttp.http.HttpProcessingError) as error:
            raise InvalidAnswerError(f"its answer cannot be read: {describe(error)}") from error
        except aiohttp.ClientResponseError as error:
            raise InvalidAnswerError(f"it does not speak HTTP: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(describe(error)) from error

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, request: WorkerRequest) -> WorkerAnswer:
        async with self._opened().post(
            self._url + request.path,
            data=request.body,
            headers=_headers(request),
            allow_redirects=False,
        ) as response:
            return WorkerAnswer(
                response.status,
                await self._read(response),
                tuple(response.headers.getall("Set-Cookie", ())),
                response.headers.get("Retry-After", ""),
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # How long a call may take is its caller's to say.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=_KEEP_ALIVE
                ),
                # The cookies are those of many users.
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT),
                # It did not ask for anything compressed, which could be of any size.
                auto_decompress=False,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = b""
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._max_body:
                response.close()
                raise InvalidAnswerError(f"its answer has more than {self._max_body} bytes")
        return body


def _headers(request: WorkerRequest) -> list[tuple[str, str]]:
    """Say what a proxy says of its client; the server knows itself by the name in its URL."""
    headers = dict(request.headers)
    before = headers.get("x-forwarded-for", "")
    if request.remote:
        headers["x-forwarded-for"] = f"{before}, {request.remote}" if before else request.remote
    if request.host:
        headers.setdefault("x-forwarded-host", request.host)
    headers["content-type"] = FORM
    return [(name, _as_text(value)) for name, value in headers.items()]


def _as_text(value: str) -> str:
    """Replace the bytes of a header that are no UTF-8, which aiohttp cannot write."""
    return value.encode(errors="surrogateescape").decode(errors="replace")
