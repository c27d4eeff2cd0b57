"""What a client's message amounts to, for whoever owns its `PusherProtocol`."""

from dataclasses import dataclass

from pogo.pusher.channels import ChannelKind
from pogo.pusher.errors import WatchlistLimitError
from pogo.pusher.members import Member, User


@dataclass(frozen=True, slots=True)
class Reply:
    """The client is to get this message."""

    message: bytes


@dataclass(frozen=True, slots=True)
class SubscriptionRequested:
    """The client may subscribe; `member` is who it is on a presence channel."""

    channel: str
    kind: ChannelKind
    member: Member | None


@dataclass(frozen=True, slots=True)
class AuthorizationNeeded:
    """The client sent no signature: the application is to be asked whether it may subscribe."""

    channel: str


@dataclass(frozen=True, slots=True)
class AuthenticationNeeded:
    """The client sent no signature: the application is to be asked who its user is."""


@dataclass(frozen=True, slots=True)
class SubscriptionCancelled:
    """The client unsubscribed."""

    channel: str


@dataclass(frozen=True, slots=True)
class ClientEventReceived:
    """The client has this message for the other subscribers of the channel."""

    channel: str
    message: bytes


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The client is this user from now on, and is to get this message."""

    message: bytes
    user: User
    watchlist: tuple[str, ...]
    """Whom the user watches, each once: no more than there may be."""
    excess: WatchlistLimitError | None
    """What the client is told if it wants to watch more."""


Event = (
    Reply
    | SubscriptionRequested
    | AuthorizationNeeded
    | AuthenticationNeeded
    | SubscriptionCancelled
    | ClientEventReceived
    | SignedIn
)
"""What a message from the client amounts to."""
