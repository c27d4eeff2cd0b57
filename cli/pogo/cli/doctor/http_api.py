"""The Pusher HTTP API, as a back end meets it: one signed question."""

import email.utils
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
import msgspec

from pogo.cli.doctor.bus_server import Stopwatch
from pogo.cli.doctor.findings import Finding, ok, skipped, warning, wrong
from pogo.cli.doctor.reach import Service
from pogo.cli.doctor.targets import AppKeys, Targets
from pogo.tls import TlsError

_MAX_BODY = 64 * 1024
"""Bytes of an answer that are read."""

_PREFIX = "private-pogo-doctor-"
"""Of channels that nobody has, so that the answer is short."""

_OK = 200
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_UNAVAILABLE = 503
_SERVERS_SECOND = 0.5
"""Seconds that a `Date`, which has no fraction, is behind on average."""

_ADVICE = {
    _UNAUTHORIZED: "give both the same secret of the app, and set the clocks",
    _NOT_FOUND: "name with --url what answers /apps/ there: a broker, or a gateway",
    _UNAVAILABLE: "see whether edges are live, and the log of the broker",
}


async def check_http_api(targets: Targets) -> Finding:
    """Ask for channels, which all edges have to answer."""
    place, app = targets.api, targets.app
    if app is None:
        return skipped("no app is known to ask as", "start `pogo serve`, or configure an app")
    broker = Service(place, "a broker", "--url")
    await broker.require_listener()
    watch = Stopwatch()
    path = f"{place.parts.path}/apps/{quote(app.id, safe='')}/channels"
    with broker.connecting(aiohttp.ClientError):
        async with _get(targets, f"{path}?{sign(app, path, time.time())}") as response:
            body = await response.content.read(_MAX_BODY)
    if response.status != _OK:
        return _judge_refusal(broker, response.status, body)
    if response.headers.get("X-Pogo-Incomplete"):
        return warning(
            f"{place} answers, and not all edges have answered it",
            "look at the edges: one is overloaded, or cut off from the bus",
        )
    return ok(f"{place} answers, and all edges did, in {watch.milliseconds:.0f} ms")


async def clock_of(targets: Targets) -> float | None:
    """Return by how many seconds a service's clock is ahead; `None` where it does not tell."""
    watch = Stopwatch()
    try:
        async with _get(targets, f"{targets.api.parts.path}/up") as response:
            told = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except (aiohttp.ClientError, OSError, TlsError, ValueError):
        return None
    return watch.ahead(told.timestamp() + _SERVERS_SECOND)


def sign(app: AppKeys, path: str, now: float) -> str:
    """Return the query of a signed GET.

    Source: Pusher Channels documentation, "HTTP API Reference", "Authentication". The parameters
    stand in the order of their names, as they are signed.
    """
    query = (
        f"auth_key={app.key}&auth_timestamp={now:.0f}&auth_version=1.0&filter_by_prefix={_PREFIX}"
    )
    signature = hmac.digest(app.secret.encode(), f"GET\n{path}\n{query}".encode(), "sha256").hex()
    return f"{query}&auth_signature={signature}"


@asynccontextmanager
async def _get(targets: Targets, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
    place = targets.api
    context = targets.tls.context() if place.has_tls else True
    url = f"{place.parts.scheme}://{place.parts.netloc}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, ssl=context, allow_redirects=False) as response,
    ):
        yield response


def _judge_refusal(broker: Service, status: int, body: bytes) -> Finding:
    try:
        said = msgspec.json.decode(body)
        reason = str(said.get("error", "")) if isinstance(said, dict) else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        reason = ""
    text = f"{broker.place} answers HTTP {status}{f': {reason}' if reason else ''}"
    advice = _ADVICE.get(status, "see where --url leads")
    return broker.another(text, advice) if status == _NOT_FOUND else wrong(text, advice)
