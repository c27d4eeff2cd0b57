"""Users at many edges: light-weight clients that do what pusher-js does and keep a record."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from pogo.pusher.signatures import sign_channel, sign_user
from tests.cluster.nodes import Node
from tests.cluster.rosters import Roster
from tests.cluster.waiting import eventually
from tests.cluster.witness import Witness
from tests.e2e.application import Application
from tests.servers import HOST

PATIENCE = 10.0
_TRY_ELSEWHERE = 0.05
_RETRY = 1.0
_ABNORMAL = 1006
_OPTIONS: dict[str, Any] = {
    "compression": None,
    "proxy": None,
    "ping_interval": None,  # an edge that stands still is not given up
    "open_timeout": 2.0,
    "close_timeout": 0.5,
}


class RefusedError(Exception):
    """A subscription was refused; `data` is that of `pusher:subscription_error`."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.data = data


class Member(Witness):
    """One connection of a user, to any one of some edges, and the next one after it.

    As pusher-js does, it comes back at once after a close with 42xx and after a second when the
    connection was just lost, if `reconnects`; it then asks for all its channels again.
    """

    def __init__(
        self,
        application: Application,
        edges: Sequence[Node],
        user: str | int,
        *,
        reconnects: bool = False,
        info: object = None,
    ) -> None:
        super().__init__(str(user))
        self.reconnects = reconnects
        self.socket_id = ""
        self._application = application
        self._edges = edges
        self._channel_data = json.dumps({"user_id": user, "user_info": info})
        self._user_data = json.dumps({"id": self.user_id, "user_info": info})
        # What it wants to be subscribed to, with what is signed beside it.
        self._wanted: dict[str, str | None] = {}
        self._signs_in = False
        self._connected = asyncio.Event()
        self._signed_in = asyncio.Event()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    # What it does

    async def connect(self) -> None:
        """Connect, and wait until that is done."""
        self._task = asyncio.create_task(self._live())
        await self._within(self._connected.wait(), "connected")

    async def hears(self, channel: str, event: str, within: float = PATIENCE) -> None:
        """Wait until an event has come on a channel."""
        await eventually(lambda: bool(self.heard(channel, event)), within)

    def moves_to(self, *edges: Node) -> None:
        """Have the next connections go to any of these edges."""
        self._edges = edges

    async def close(self) -> None:
        """Disconnect for good. Idempotent."""
        self.reconnects = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sign_in(self) -> None:
        """Sign the user in, and wait until that is done."""
        self._signs_in = True
        await self._send_signin()
        await self._within(self._signed_in.wait(), "signed in")

    async def send_signin(self, user: str) -> None:
        """Ask to be signed in as a user; whoever waits looks at `errors`."""
        await self._send_signin(json.dumps({"id": user}))

    async def join(
        self, channel: str, *, with_data: bool = True, within: float = PATIENCE
    ) -> Roster:
        """Subscribe, wait until that has succeeded and return the roster.

        Without data, the channel's member is who signed in.

        Raises:
            RefusedError: It was refused.
        """
        answer = self._answers[channel] = asyncio.get_running_loop().create_future()
        await self.want(channel, with_data=with_data)
        await self._within(asyncio.shield(answer), f"subscribed to {channel}", within)
        return self.rosters[channel]

    async def want(self, channel: str, *, with_data: bool = True) -> None:
        """Subscribe, now or as soon as there is a connection."""
        self.rosters[channel] = Roster(lenient=channel in self.rosters)
        is_presence = channel.startswith("presence-") and with_data
        self._wanted[channel] = self._channel_data if is_presence else None
        await self._ask(channel)

    async def leave(self, channel: str) -> None:
        """Unsubscribe."""
        self._wanted.pop(channel, None)
        await self._send("pusher:unsubscribe", {"channel": channel})

    async def trigger(self, channel: str, event: str, data: object) -> None:
        """Send a client event."""
        await self._send(event, data, channel=channel)

    @property
    def channels(self) -> set[str]:
        """What it wants to be subscribed to."""
        return set(self._wanted)

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connected.is_set()

    # The connection

    async def _within(self, waiting: Any, what: str, within: float = PATIENCE) -> None:
        try:
            async with asyncio.timeout(within):
                await waiting
        except TimeoutError:
            closes = [closed.code for closed in self.closes]
            raise AssertionError(
                f"{self.user_id} not {what}: errors {self.errors}, closes {closes}"
            ) from None

    async def _live(self) -> None:
        wait: float | None = 0.0
        while wait is not None:
            await asyncio.sleep(wait)
            edge = random.choice(self._edges)  # noqa: S311 (any will do)
            url = f"ws://{HOST}:{edge.port}/app/{self._application.key}?protocol=7"
            try:
                async with connect(url, **_OPTIONS) as socket:
                    wait = self._patience(await self._talk(socket))
            except (OSError, WebSocketException):
                wait = _TRY_ELSEWHERE

    def _patience(self, code: int) -> float | None:
        """Tell how long pusher-js waits after that close code, `None` where it does not return."""
        if not self.reconnects or 4000 <= code < 4100 or code >= 4300:
            return None
        return 0.0 if 4200 <= code < 4300 else _RETRY

    async def _talk(self, socket: ClientConnection) -> int:
        """Read until the connection is closed, and return the close code."""
        self._socket = socket
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in socket:
                    await self._take(json.loads(message))
        finally:
            self._socket = None
            self._connected.clear()
            self._signed_in.clear()
            code = socket.close_code or _ABNORMAL
            self.closed(code)
        return code

    async def _send(self, event: str, data: object, **fields: object) -> None:
        """Send a message, if there is a connection."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps({"event": event, "data": data, **fields}))

    async def _send_signin(self, user_data: str = "") -> None:
        text = user_data or self._user_data
        signature = sign_user(self._application.secret.encode(), self.socket_id, text)
        auth = f"{self._application.key}:{signature}"
        await self._send("pusher:signin", {"auth": auth, "user_data": text})

    async def _ask(self, channel: str) -> None:
        if not self.connected or channel not in self._wanted:
            return
        data = self._wanted[channel]
        secret = self._application.secret.encode()
        signature = sign_channel(secret, self.socket_id, channel, data)
        auth = f"{self._application.key}:{signature}"
        await self._send(
            "pusher:subscribe", {"channel": channel, "auth": auth, "channel_data": data}
        )

    # What it is told

    async def _take(self, message: dict[str, Any]) -> None:
        event, channel = message["event"], message.get("channel", "")
        data: Any = message.get("data")
        if isinstance(data, str) and not event.startswith("client-"):
            data = json.loads(data)
        match event:
            case "pusher:connection_established":
                await self._established(data)
            case "pusher:ping":
                await self._send("pusher:pong", {})
            case "pusher:signin_success":
                self._signed_in.set()
            case "pusher:error":
                self.errors.append(data)
            case "pusher_internal:subscription_succeeded":
                self.joined(channel, data)
                self._answer(channel, None)
            case "pusher:subscription_error":
                self._wanted.pop(channel, None)
                self._answer(channel, RefusedError(data))
            case "pusher_internal:member_added" | "pusher_internal:member_removed":
                self.member_changed(channel, event.rpartition("_")[2], data)
            case _:
                self.events.append((channel, event, data))

    async def _established(self, data: dict[str, Any]) -> None:
        self.socket_id = data["socket_id"]
        self.handshakes.append(time.monotonic())
        self._connected.set()
        wanted = list(self._wanted)
        if self._signs_in:
            await self._send_signin()
        for channel in wanted:
            await self._ask(channel)

    def _answer(self, channel: str, refusal: RefusedError | None) -> None:
        waiting = self._answers.pop(channel, None)
        if waiting is None or waiting.done():
            return
        if refusal is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(refusal)
