"""What an app and a server allow one connection. Shared by all of them."""

from dataclasses import dataclass, field

from pogo.pusher.channels import MAX_CHANNEL_NAME, MAX_EVENT_NAME
from pogo.pusher.rates import RateLimit


@dataclass(frozen=True, slots=True)
class AppPolicy:
    """What the protocol needs to know of an app. Shared by all of its connections."""

    key: str
    secrets: tuple[bytes, ...] = field(repr=False)
    client_events: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do. Shared by all connections."""

    messages: RateLimit
    client_events: RateLimit
    activity_timeout: int = 54
    max_subscriptions: int = 1000
    max_channel_length: int = MAX_CHANNEL_NAME
    max_event_length: int = MAX_EVENT_NAME
    max_presence_data: int = 2048
    asks_application: bool = False
    """Whether the application is asked for clients that send no signature."""
