"""A Pusher client for the terminal: it subscribes, comes back when it is cut off, and reports.

What a close code asks for is the protocol's: after 4000 to 4099 a client stays away, after 4200 to
4299 it comes back at once, and after anything else when a pause is over, which grows.
"""

import asyncio
import random
import secrets
import ssl
from collections.abc import Sequence
from typing import NoReturn, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from pogo.cli.errors import CommandError, UsageError
from pogo.cli.target import Target
from pogo.pusher.channels import channel_kind
from pogo.pusher.signatures import sign_channel
from pogo.tls import ClientTls, TlsError

FIRST_PAUSE = 1.0
"""Seconds before the first attempt to come back."""

LONGEST_PAUSE = 30.0
"""Seconds at which the pause stops growing."""

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one message: more than a bus server takes."""

_REFUSED = range(4000, 4100)
_BACK_AT_ONCE = range(4200, 4300)
# "At once" is within this many seconds, so that not all listeners come in the same moment.
_AT_ONCE = 0.5
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_INTERNAL = "pusher_internal:"


class Message(msgspec.Struct):
    """One message of the server."""

    event: str
    channel: str = ""
    data: object = None
    user_id: str = ""


class Reporter(Protocol):
    """Whoever tells the user."""

    def event(self, message: Message) -> None:
        """Tell what arrived on a channel."""

    def notice(self, text: str) -> None:
        """Tell what became of the connection or a subscription."""


class Subscriber:
    """One user's interest in some channels of one app."""

    def __init__(self, target: Target, channels: Sequence[str], reporter: Reporter) -> None:
        """Prepare to listen.

        Raises:
            UsageError: A channel needs a secret that is not known, the URL is none, or the
                authorities cannot be read.
        """
        for channel in channels:
            if channel_kind(channel).needs_auth and target.secret is None:
                raise UsageError(
                    f"{channel} needs the app's secret: name a variable with --secret-from-env"
                )
        self._target = target
        self._channels = dict.fromkeys(channels)
        self._reporter = reporter
        self._url = _websocket_url(target)
        self._context = _tls_context(target) if self._url.startswith("wss:") else None
        self._member = f"pogo-listen-{secrets.token_hex(4)}"
        self._pause = FIRST_PAUSE
        self._refused: set[str] = set()

    async def run(self) -> NoReturn:
        """Listen until cancelled.

        Raises:
            CommandError: The server does not want this client, or is no Pusher server.
        """
        while True:
            async with await self._connect() as websocket:
                try:
                    await self._converse(websocket)
                except ConnectionClosed as closed:
                    end = closed
            await self._come_back_after(end)

    async def _connect(self) -> ClientConnection:
        while True:
            try:
                return await connect(
                    self._url, max_size=MAX_MESSAGE, compression=None, ssl=self._context
                )
            except ssl.SSLCertVerificationError as error:
                # It would be no other in a second.
                raise CommandError(
                    f"the certificate of {self._target.url} is not to be believed: "
                    f"{error.verify_message}. Name its authority with --ca"
                ) from None
            except InvalidStatus as refusal:
                status = refusal.response.status_code
                if status != _TOO_MANY_REQUESTS and status < _SERVER_ERROR:
                    raise CommandError(
                        f"{self._target.url} is no Pogo server: it answered HTTP {status}"
                    ) from None
                await self._rest(f"the server answered HTTP {status}")
            except (OSError, TimeoutError, InvalidHandshake) as error:
                await self._rest(f"no connection to {self._target.url}: {error}")

    async def _converse(self, websocket: ClientConnection) -> NoReturn:
        while True:
            try:
                answers = self._receive(msgspec.json.decode(await websocket.recv(), type=Message))
            except msgspec.DecodeError:
                raise CommandError(
                    f"{self._target.url} does not speak the Pusher protocol"
                ) from None
            for answer in answers:
                await websocket.send(answer)

    def _receive(self, message: Message) -> list[str]:
        """Report one message, and return what to answer."""
        match message.event:
            case "pusher:connection_established":
                self._pause = FIRST_PAUSE
                self._refused.clear()
                socket_id = _decode(message.data, "socket_id")
                self._reporter.notice(f"connected to {self._target.url}, socket id {socket_id}")
                return [self._subscribe(socket_id, channel) for channel in self._channels]
            case "pusher:ping":
                return [_encode("pusher:pong", {})]
            case "pusher:error":
                code, text = _field(message.data, "code"), _field(message.data, "message")
                self._reporter.notice(f"error {code}: {text}")
            case "pusher:subscription_error":
                self._refuse(message)
            case "pusher_internal:subscription_succeeded":
                self._reporter.notice(f"listening to {message.channel}")
            case event:
                if event.startswith(_INTERNAL):
                    # Under the name by which pusher-js passes it on.
                    message.event = "pusher:" + event.removeprefix(_INTERNAL)
                self._reporter.event(message)
        return []

    def _subscribe(self, socket_id: str, channel: str) -> str:
        data = {"channel": channel}
        kind = channel_kind(channel)
        if kind.needs_auth and self._target.secret is not None:
            member = None
            if kind.is_presence:
                member = data["channel_data"] = msgspec.json.encode(
                    {"user_id": self._member, "user_info": {"name": "pogo listen"}}
                ).decode()
            signature = sign_channel(self._target.secret.encode(), socket_id, channel, member)
            data["auth"] = f"{self._target.key}:{signature}"
        return _encode("pusher:subscribe", data)

    def _refuse(self, message: Message) -> None:
        self._reporter.notice(f"{message.channel} refused: {_field(message.data, 'error')}")
        self._refused.add(message.channel)
        if self._refused >= self._channels.keys():
            raise CommandError("no channel is left to listen to")

    async def _come_back_after(self, closed: ConnectionClosed) -> None:
        code, reason = 1006, "the connection broke off"
        if closed.rcvd is not None:
            code, reason = closed.rcvd.code, closed.rcvd.reason
        if code in _REFUSED:
            raise CommandError(f"the server refused, {code}: {reason}")
        if code in _BACK_AT_ONCE:
            self._reporter.notice(f"closed with {code}: {reason}; coming back")
            await asyncio.sleep(random.uniform(0, _AT_ONCE))  # noqa: S311 (spreads clients)
        else:
            await self._rest(f"closed with {code}: {reason}")

    async def _rest(self, why: str) -> None:
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 (spreads clients)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._reporter.notice(f"{why}; trying again in {pause:.1f} s")
        await asyncio.sleep(pause)


def _websocket_url(target: Target) -> str:
    url = target.url if "://" in target.url else f"http://{target.url}"
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{target.url} is no URL such as http://127.0.0.1:8080")
    query = "protocol=7&client=pogo-listen&version=1"
    path = f"{parts.path.rstrip('/')}/app/{quote(target.key, safe='')}"
    return f"{schemes[parts.scheme]}://{parts.netloc}{path}?{query}"


def _tls_context(target: Target) -> ssl.SSLContext:
    try:
        return ClientTls("" if target.ca is None else str(target.ca)).context()
    except TlsError as error:
        raise UsageError(str(error)) from None


def _encode(event: str, data: dict[str, str]) -> str:
    return msgspec.json.encode({"event": event, "data": data}).decode()


def _decode(data: object, name: str) -> str:
    """Return one field of data that is a string of JSON."""
    return _field(msgspec.json.decode(data), name) if isinstance(data, str) else ""


def _field(data: object, name: str) -> str:
    return str(data.get(name, "")) if isinstance(data, dict) else ""
