"""Posting events to an endpoint, once."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Literal, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from pogo.broker.webhooks.addresses import PrivateAddressError, public_socket
from pogo.broker.webhooks.resolver import WebhookResolver
from pogo.pusher.webhooks import (
    CONTENT_TYPE,
    KEY_HEADER,
    SIGNATURE_HEADER,
    sign_webhook,
    webhook_body,
)
from pogo.settings import App, Settings, Webhook

USER_AGENT = "pogo-websocket"
"""What requests say they come from, unless the headers of a webhook say otherwise."""

MAX_ANSWER = 65_536
"""Bytes that are read of an answer, which is of no interest: only when it was read to its end can
its connection be used again."""

KEEP_ALIVE = 1.5
"""Seconds for which an idle connection is kept: less than the two to five seconds of common
servers, so that they seldom close one while a request is on its way."""

Failure = Literal["refused", "timeout", "error"]
"""Why a request failed: the answer was another than 2xx, or did not come in time, or the endpoint
could not be reached or understood."""

_FAILURES = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, ValueError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its name cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not valid"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ServerDisconnectedError, "it closed the connection"),
    (aiohttp.ClientPayloadError, "its answer was cut off"),
    (aiohttp.ClientResponseError, "it does not speak HTTP"),
    (aiohttp.http.HttpProcessingError, "it does not speak HTTP"),
    (ValueError, "its URL cannot be used"),
)
_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_WITH_RETRY_AFTER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class PostError(Exception):
    """The events did not arrive for certain. The text names neither URL nor address.

    Args:
        failure: What kind of failure it was.
        reason: The same in words, for logs.
        status: The status of the answer; 0 where there was none.
        retry_after: Seconds that the endpoint asked to be left alone for.
    """

    def __init__(
        self, failure: Failure, reason: str, *, status: int = 0, retry_after: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.failure = failure
        self.status = status
        self.retry_after = retry_after

    @property
    def blames_content(self) -> bool:
        """Whether the endpoint says that the request itself is wrong (4xx)."""
        return (
            HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR
            and self.status not in _TRANSIENT
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where the events of one endpoint go, and who signs them."""

    key: str
    secret: bytes = field(repr=False)
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, app: App, webhook: Webhook, settings: Settings) -> Self:
        """Take it from the settings.

        While an app has two secrets, the older one signs, as Pusher's oldest active token does:
        every receiver knows that one, and can learn the new one before the old one goes.
        """
        secret = settings.webhook_secret
        if not secret.get_secret_value():
            secret = app.previous_secret or app.secret
        return cls(
            key=app.key,
            secret=secret.get_secret_value().encode(),
            url=webhook.url,
            headers=tuple(
                (name, value.get_secret_value()) for name, value in webhook.headers.items()
            ),
        )


@dataclass(slots=True)
class _Attempt:
    """One request on its way."""

    is_on_used_connection: bool = False


class Poster:
    """Posts to all endpoints.

    It has connections for as many requests as there are at a time; whoever posts to one endpoint
    does so once at a time. They are not limited by host: endpoints may share one, and a slow one
    would hold up the others.

    Args:
        timeout: Seconds that an endpoint has for its whole answer, connecting included.
        private_addresses: Whether endpoints may have addresses that are not public.
        clock: Tells the time of day, in seconds.
    """

    def __init__(
        self,
        *,
        timeout: float,
        private_addresses: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._timeout = timeout
        self._private_addresses = private_addresses
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._resolver: WebhookResolver | None = None

    async def post(self, target: Target, events: Sequence[bytes]) -> None:
        """Post events, each JSON text; returns when the endpoint has answered with 2xx.

        Raises:
            PostError: It has not: they may have arrived or not.
        """
        body = webhook_body(int(self._clock() * 1000), events)
        try:
            async with asyncio.timeout(self._timeout):
                status, retry_after = await self._send(target, body)
        except TimeoutError:
            reason = f"no whole answer within {self._timeout:g} s"
            raise PostError("timeout", reason) from None
        except _FAILURES as error:
            # The texts of these errors name hosts and addresses, so they end here.
            raise PostError("error", _reason(error)) from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise PostError("refused", f"status {status}", status=status, retry_after=retry_after)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    async def _send(self, target: Target, body: bytes) -> tuple[int, float]:
        """Return the status of the answer, and for how long it asks to be left alone.

        Servers close idle connections, some of them soon, and at times just as a request comes.
        That is no failure of theirs: as in RFC 9112, 9.3.1, it is sent again, until a connection is
        new. Whoever has it already knows its ids.
        """
        while True:
            attempt = _Attempt()
            try:
                return await self._send_once(target, body, attempt)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not attempt.is_on_used_connection:
                    raise

    async def _send_once(self, target: Target, body: bytes, attempt: _Attempt) -> tuple[int, float]:
        url = URL(target.url)
        headers = _headers(target, body)
        if "Authorization" in headers:
            # What a header says goes before what the URL says; both together are an error.
            url = url.with_user(None)
        async with self._opened().post(
            url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=attempt
        ) as response:
            await _read(response)
            asked = ""
            if response.status in _WITH_RETRY_AFTER:
                asked = response.headers.get("Retry-After", "")
            return response.status, parse_retry_after(asked, self._clock())

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = WebhookResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    keepalive_timeout=KEEP_ALIVE,
                    resolver=self._resolver,
                    socket_factory=None if self._private_addresses else public_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding"),
                # The whole has a limit of its own, see `post`.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                # It did not ask for anything compressed, which could be of any size.
                auto_decompress=False,
                # No proxies and no credentials from the environment.
                trust_env=False,
                trace_configs=[_noting_used_connections()],
            )
        return self._session


def _noting_used_connections() -> aiohttp.TraceConfig:
    """Have each attempt told whether its connection has carried requests before."""

    async def note(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: object
    ) -> None:
        del session, params
        context.trace_request_ctx.is_on_used_connection = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


def parse_retry_after(text: str, now: float) -> float:
    """Read a `Retry-After` header as seconds from now on; 0 where it says nothing sensible."""
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def _headers(target: Target, body: bytes) -> CIMultiDict[str]:
    headers = CIMultiDict({"User-Agent": USER_AGENT})
    headers.update(target.headers)
    headers["Content-Type"] = CONTENT_TYPE
    headers[KEY_HEADER] = target.key
    headers[SIGNATURE_HEADER] = sign_webhook(target.secret, body)
    return headers


async def _read(response: aiohttp.ClientResponse) -> None:
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > MAX_ANSWER:
            response.close()
            return


def _reason(error: Exception) -> str:
    """Say what went wrong without naming the endpoint: its host may be a secret."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, PrivateAddressError):
            return str(cause)
        return os.strerror(cause.errno) if cause.errno else "cannot connect"
    return type(error).__name__
