"""An edge, as a browser meets it: a handshake, and a ping."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin

from pogo.cli.doctor.bus_server import Stopwatch
from pogo.cli.doctor.certificates import judge_end
from pogo.cli.doctor.findings import Finding, ok, skipped, warning, worst, wrong
from pogo.cli.doctor.reach import Service
from pogo.cli.doctor.targets import Targets
from pogo.settings import Settings

_MAX_MESSAGE = 64 * 1024
"""Bytes of one message: far more than what is answered here."""

_TOO_MANY = 429
_ESTABLISHED = "pusher:connection_established"
_NO_APP = skipped("no app is known to connect as", "start `pogo serve`, or configure an app")

_ADVICE = {
    4001: "give the edge the app of these settings, or name another one with --app-id",
    4003: "set `enabled` of the app",
    4004: "raise max_connections of the app, or leave it at 0",
    4009: "look at allowed_origins",
    4100: "the edge is full: raise max_connections (and `ulimit -n`), or add edges",
}


class _Message(msgspec.Struct):
    event: str
    data: object = None


@dataclass(frozen=True, slots=True)
class _Greeting:
    """What a client learns by connecting."""

    milliseconds: float
    """How long a ping took."""
    headers: Mapping[str, str]
    """Those of the answer to the handshake, by names in any case."""
    expires: datetime | None
    """When the certificate ends that was shown."""


class _RefusedError(Exception):
    """The edge does not want this client."""

    def __init__(self, code: object, text: object) -> None:
        super().__init__(f"it refuses with {code}: {text}")
        self.code = code if isinstance(code, int) else 0


async def check_edge(targets: Targets) -> Finding:
    """Connect, and exchange a ping."""
    if targets.app is None:
        return _NO_APP
    place = targets.edge
    edge = Service(place, "an edge", "--edge or --url")
    await edge.require_listener()
    with edge.connecting(InvalidHandshake, ConnectionClosed, EOFError, msgspec.DecodeError):
        try:
            greeting = await _greet(targets)
        except InvalidStatus as refusal:
            return _judge_status(edge, refusal.response.status_code)
        except _RefusedError as error:
            return wrong(
                f"{place}: {error}", _ADVICE.get(error.code, "see docs/troubleshooting.md")
            )
    found = ok(
        f"{place} takes the app {targets.app.id!r}, and a ping takes {greeting.milliseconds:.1f} ms"
    )
    if greeting.expires is None:
        return found
    return worst([found, judge_end("its certificate", greeting.expires, datetime.now(UTC))])


async def check_proxies(settings: Settings, targets: Targets) -> Finding:
    """See whether a proxy is in between, whose clients the edge would take for one."""
    return judge_proxies((await _greet(targets)).headers, trusted=bool(settings.trusted_proxies))


def judge_proxies(headers: Mapping[str, str], *, trusted: bool) -> Finding:
    """Judge by what the answer to a handshake passed; `trusted` if the settings name proxies."""
    proxy = headers.get("Via") or headers.get("Server", "")
    if trusted:
        return ok("trusted_proxies is set, so that clients are told apart by X-Forwarded-For")
    if not proxy:
        return ok("no proxy is to be seen on the way to the edge")
    return warning(
        f"a proxy ({proxy}) is before the edge, and trusted_proxies is empty here: all clients "
        "count as one address, and share handshake_rate",
        "set trusted_proxies of edges to the networks of the proxy",
    )


async def _greet(targets: Targets) -> _Greeting:
    assert targets.app is not None
    parts = targets.edge.parts
    scheme, context = ("wss", targets.tls.context()) if targets.edge.has_tls else ("ws", None)
    url = (
        f"{scheme}://{parts.netloc}{parts.path}/app/{quote(targets.app.key, safe='')}"
        "?protocol=7&client=pogo-doctor&version=1"
    )
    origin = Origin(targets.app.origin) if targets.app.origin else None
    async with connect(
        url, ssl=context, origin=origin, max_size=_MAX_MESSAGE, compression=None
    ) as websocket:
        await _receive(websocket, _ESTABLISHED)
        watch = Stopwatch()
        await websocket.send('{"event":"pusher:ping","data":{}}')
        await _receive(websocket, "pusher:pong")
        taken = watch.milliseconds
        assert websocket.response is not None
        return _Greeting(taken, websocket.response.headers, _expires(websocket))


async def _receive(websocket: ClientConnection, event: str) -> None:
    """Wait for an event.

    Raises:
        _RefusedError: The edge says that it does not want this client.
    """
    while True:
        message = msgspec.json.decode(await websocket.recv(), type=_Message)
        if message.event == event:
            return
        if message.event == "pusher:error" and isinstance(message.data, dict):
            raise _RefusedError(message.data.get("code"), message.data.get("message"))


def _expires(websocket: ClientConnection) -> datetime | None:
    shown = websocket.transport.get_extra_info("peercert")
    if not shown:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)


def _judge_status(edge: Service, status: int) -> Finding:
    if status == _TOO_MANY:
        return warning(
            f"{edge.place} says that too many connections come from this address",
            "see handshake_rate, and trusted_proxies where a proxy is before it",
        )
    return edge.another(
        f"{edge.place} answers HTTP {status} to a WebSocket handshake",
        "see where --edge or --url leads: browsers need the path /app/ there",
    )
