"""One client of a soak: it connects, signs its channels itself, listens, and leaves."""

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field

from tests.servers import HOST
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from bench.delivery.site import APP, SECRET
from bench.soak.plan import Visit
from pogo.pusher.channels import channel_kind
from pogo.pusher.signatures import sign_channel, sign_user

_SECRET = SECRET.encode()
_TIMEOUT = 20.0
_CLIENT_EVENT = {"event": "client-said", "data": {"text": "x" * 80}}


@dataclass(slots=True)
class Activity:
    """What the clients and publishers of a soak have done so far."""

    visits: int = 0
    received: int = 0
    """Messages."""
    client_events: int = 0
    published: int = 0
    """Events, each once for every channel that it went to."""
    faults: Counter[str] = field(default_factory=Counter)
    """What went wrong, and how often."""


class Client:
    """Makes one visit."""

    def __init__(self, port: int, visit: Visit, activity: Activity) -> None:
        self._url = f"ws://{HOST}:{port}/app/{APP}?protocol=7"
        self._visit = visit
        self._activity = activity
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        """Come, stay and leave. What goes wrong is counted; cancelling it makes it leave early."""
        self._activity.visits += 1
        try:
            async with connect(
                self._url, compression=None, open_timeout=_TIMEOUT, ping_interval=None
            ) as socket:
                await self._stay(socket)
                if not self._visit.leaves_cleanly:
                    socket.transport.abort()
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            self._activity.faults[f"{type(error).__name__}: {error}"] += 1

    async def talk(self, number: int) -> None:
        """Send a client event on one of the channels, if there is any."""
        names = self._visit.talks_on
        if self._socket is None or not names:
            return
        message = _CLIENT_EVENT | {"channel": names[number % len(names)]}
        with contextlib.suppress(WebSocketException):
            # It may be about to leave; whether it was cut off, its reader says.
            await self._socket.send(json.dumps(message))
            self._activity.client_events += 1

    async def _stay(self, socket: ClientConnection) -> None:
        socket_id = json.loads(json.loads(await socket.recv())["data"])["socket_id"]
        await self._begin(socket, socket_id)
        missing = len(self._visit.channels)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._visit.seconds):
                while True:
                    message = await socket.recv(decode=False)
                    self._activity.received += 1
                    if message.startswith(b'{"event":"pusher:error"'):
                        self._activity.faults[str(message)] += 1
                    if missing and b"subscription_succeeded" in message:
                        missing -= 1
                        if not missing:
                            self._socket = socket
        self._socket = None

    async def _begin(self, socket: ClientConnection, socket_id: str) -> None:
        visit = self._visit
        if visit.signs_in:
            user_data = json.dumps({"id": visit.user})
            auth = f"{APP}:{sign_user(_SECRET, socket_id, user_data)}"
            await _say(socket, "pusher:signin", {"auth": auth, "user_data": user_data})
        for channel in visit.channels:
            data = {"channel": channel}
            if channel_kind(channel).is_presence:
                data["channel_data"] = json.dumps({"user_id": visit.user})
            signature = sign_channel(_SECRET, socket_id, channel, data.get("channel_data"))
            data["auth"] = f"{APP}:{signature}"
            await _say(socket, "pusher:subscribe", data)


async def _say(socket: ClientConnection, event: str, data: object) -> None:
    await socket.send(json.dumps({"event": event, "data": data}))
