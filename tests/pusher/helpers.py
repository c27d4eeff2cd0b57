"""A client's words, and a protocol that hears them."""

import json

from pogo.pusher.policy import AppPolicy, Limits
from pogo.pusher.protocol import PusherProtocol
from pogo.pusher.rates import RateLimit
from pogo.pusher.signatures import sign_channel, sign_user

KEY = "app-key"
SECRET = b"app-secret"
SOCKET_ID = "123.456"


def limits(
    *,
    message_rate: float = -1,
    event_rate: float = -1,
    max_subscriptions: int = 100,
    max_presence_data: int = 2048,
    asks_application: bool = False,
) -> Limits:
    """Make limits; negative rates are unlimited."""
    return Limits(
        messages=RateLimit(message_rate, 2),
        client_events=RateLimit(event_rate, 2),
        max_subscriptions=max_subscriptions,
        max_presence_data=max_presence_data,
        asks_application=asks_application,
    )


def conversation(
    *, client_events: bool = True, secrets: tuple[bytes, ...] = (SECRET,), own: Limits | None = None
) -> PusherProtocol:
    """Open a conversation."""
    app = AppPolicy(KEY, secrets, client_events)
    protocol = PusherProtocol(app, own or limits(), SOCKET_ID)
    protocol.establish()
    return protocol


def message(event: str, data: object = None, **fields: object) -> bytes:
    """Write a message as pusher-js does."""
    return json.dumps({"event": event, "data": data, **fields}).encode()


def subscribe(channel: str, channel_data: str | None = None, *, secret: bytes = SECRET) -> bytes:
    """Ask for a subscription, with a signature."""
    auth = f"{KEY}:{sign_channel(secret, SOCKET_ID, channel, channel_data)}"
    data = {"channel": channel, "auth": auth, "channel_data": channel_data}
    return message("pusher:subscribe", data)


def signin(user_data: str, *, secret: bytes = SECRET) -> bytes:
    """Ask to be signed in, with a signature."""
    auth = f"{KEY}:{sign_user(secret, SOCKET_ID, user_data)}"
    return message("pusher:signin", {"auth": auth, "user_data": user_data})


def subscribed(protocol: PusherProtocol, channel: str, channel_data: str | None = None) -> None:
    """Bring a subscription to its end."""
    protocol.receive(subscribe(channel, channel_data), 0)
    protocol.confirm(channel)
