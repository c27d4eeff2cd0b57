"""A client of the server under test, as far as these tests need one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE = 5.0


class Subscriber:
    """A WebSocket that is connected, with a socket id."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.socket_id: str = json.loads(self.receive()["data"])["socket_id"]

    def subscribe(self, channel: str, signed: Mapping[str, Any] | None = None) -> None:
        """Subscribe with what the application has signed, and wait until it has succeeded."""
        data = {"channel": channel, **(signed or {})}
        self._socket.send(json.dumps({"event": "pusher:subscribe", "data": data}))
        answer = self.receive()
        assert answer["event"] == "pusher_internal:subscription_succeeded", answer

    def receive(self) -> dict[str, Any]:
        """Wait for the next message."""
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=PATIENCE))
        return message


@contextmanager
def subscriber(port: int, key: str) -> Iterator[Subscriber]:
    """Connect to the edge on that port of this machine."""
    with connect(f"ws://127.0.0.1:{port}/app/{key}?protocol=7", proxy=None) as socket:
        yield Subscriber(socket)
