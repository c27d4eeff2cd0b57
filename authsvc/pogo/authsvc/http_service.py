"""`POST /pogo/auth` and `POST /pogo/user-auth`, as pusher-js and Laravel Echo send them."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Network, IPv6Network

import msgspec
from aiohttp import web

from pogo.authsvc.answers import ChannelAnswer, UserAnswer
from pogo.authsvc.apps import AuthApps
from pogo.authsvc.cors import check_origin, preflight_headers
from pogo.authsvc.errors import AuthError, BadRequestError, RefusedError, RetryLaterError
from pogo.authsvc.forms import Fields, parse_body
from pogo.authsvc.headers import check_host, passed_headers
from pogo.authsvc.service import Asker, AuthService, Signed
from pogo.serving import RemoteAddresses

Sign = Callable[[Fields, Asker], Awaitable[Signed[ChannelAnswer] | Signed[UserAnswer]]]

_ENCODER = msgspec.json.Encoder()
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_SCHEME = "x-forwarded-proto"
"""What tells the worker of TLS, as a proxy would; FastCGI makes `HTTPS` of it."""


class HttpService:
    """Answers browsers."""

    def __init__(
        self,
        service: AuthService,
        apps: AuthApps,
        *,
        max_body: int,
        timeout: float,
        trusted_proxies: Iterable[IPv4Network | IPv6Network],
    ) -> None:
        """Sign by `service`; requests have up to `max_body` bytes, within `timeout` seconds."""
        self._service = service
        self._apps = apps
        self._max_body = max_body
        self._timeout = timeout
        self._addresses = RemoteAddresses(trusted_proxies)

    def add_routes(self, application: web.Application, auth_path: str, user_auth_path: str) -> None:
        """Answer at these paths."""
        router = application.router
        router.add_post(auth_path, self._handler(self._service.sign_channel))
        router.add_post(user_auth_path, self._handler(self._service.sign_user))
        for path in (auth_path, user_auth_path):
            router.add_options(path, self._preflight)

    def _handler(self, sign: Sign) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            headers = dict(_HEADERS)
            try:
                headers.update(check_origin(request.headers.get("Origin"), self._apps))
                fields = parse_body(
                    await self._read(request), request.headers.get("Content-Type", "")
                )
                signed = await sign(fields, self._asker(request))
            except AuthError as error:
                self._service.report(error)
                return _refusal(error, headers)
            return _answer(200, _ENCODER.encode(signed.answer), headers, signed.cookies)

        return handle

    async def _preflight(self, request: web.Request) -> web.Response:
        try:
            headers = check_origin(request.headers.get("Origin"), self._apps)
        except AuthError as error:
            self._service.report(error)
            return _refusal(error, dict(_HEADERS))
        return web.Response(status=204, headers={**headers, **preflight_headers()})

    async def _read(self, request: web.Request) -> bytes:
        if "Content-Encoding" in request.headers:
            raise BadRequestError("a request is not compressed", 415)
        if (request.content_length or 0) > self._max_body:
            raise BadRequestError(f"a request has up to {self._max_body} bytes", 413)
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                async for piece in request.content.iter_any():
                    body += piece
                    if len(body) > self._max_body:
                        raise BadRequestError(f"a request has up to {self._max_body} bytes", 413)
        except web.RequestPayloadError:
            raise BadRequestError("the request's body cannot be read") from None
        except TimeoutError:
            raise BadRequestError("the request's body did not come in time", 408) from None
        return bytes(body)

    def _asker(self, request: web.Request) -> Asker:
        peer = request.remote or ""
        headers = passed_headers(
            request.headers.items(), from_trusted_proxy=self._addresses.trusts(peer)
        )
        if request.secure and not any(name == _SCHEME for name, _ in headers):
            headers.append((_SCHEME, "https"))
        return Asker(
            headers,
            check_host(request.headers.get("Host", "")),
            peer,
        )


def _refusal(error: AuthError, headers: dict[str, str]) -> web.Response:
    body = _ENCODER.encode({"error": str(error)})
    cookies: tuple[str, ...] = ()
    if isinstance(error, RefusedError):
        body, cookies = error.body or body, error.cookies
        if error.retry_after:
            headers["Retry-After"] = error.retry_after
    elif isinstance(error, RetryLaterError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return _answer(error.status, body, headers, cookies)


def _answer(
    status: int, body: bytes, headers: dict[str, str], cookies: tuple[str, ...]
) -> web.Response:
    response = web.Response(
        status=status, body=body, headers=headers, content_type="application/json"
    )
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response
