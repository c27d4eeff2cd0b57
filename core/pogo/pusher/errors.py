"""What can go wrong in a conversation, as the client is told it.

    PusherError
    ├── CloseError                      the connection ends
    │   ├── BinaryMessageError              1003 (RFC 6455)
    │   ├── NotUtf8Error                    1007 (RFC 6455)
    │   ├── UnknownAppError                 4001
    │   ├── AppDisabledError                4003
    │   ├── ConnectionQuotaError            4004
    │   ├── PathNotFoundError               4005
    │   ├── InvalidVersionError             4006
    │   ├── UnsupportedProtocolError        4007
    │   ├── NoProtocolError                 4008
    │   ├── UnauthorizedError               4009
    │   ├── TerminatedError                 4009
    │   ├── OverCapacityError               4100
    │   ├── ReconnectError                  4200
    │   └── PongTimeoutError                4201
    └── ProtocolError                   the connection goes on
        ├── InvalidMessageError             no code
        ├── SubscriptionError
        │   ├── UnauthorizedSubscriptionError   4009
        │   ├── InvalidChannelError             no code
        │   └── SubscriptionLimitError          no code
        ├── SigninError                     4009
        ├── WatchlistLimitError             4302
        └── ClientEventError                no code
            └── ClientEventRateError        4301

The codes are those of the Pusher Channels protocol, "Error codes". pusher-js acts on the range of
the code a connection is *closed* with: after 4000-4099 it never reconnects, after 4100-4199 it
waits a second first, after 4200-4299 it reconnects at once, and after 4300 and up it gives up. So
the 43xx codes are only ever reported as events.
"""

from typing import ClassVar


class PusherError(Exception):
    """Something the client did, or that happened to it, in terms of the protocol."""

    code: ClassVar[int | None] = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CloseError(PusherError):
    """The connection ends: a `pusher:error` event, then a close frame with the code."""

    code: ClassVar[int]


class BinaryMessageError(CloseError):
    """The client sent a binary message: the protocol is text."""

    code = 1003


class NotUtf8Error(CloseError):
    """The client sent a text message that is not UTF-8 (RFC 6455, section 8.1)."""

    code = 1007


class UnknownAppError(CloseError):
    """No app has the key that the client connected with."""

    code = 4001


class AppDisabledError(CloseError):
    """The app exists and is switched off."""

    code = 4003


class ConnectionQuotaError(CloseError):
    """The app has as many connections as it may have."""

    code = 4004


class PathNotFoundError(CloseError):
    """The path is not `/app/{key}`."""

    code = 4005


class InvalidVersionError(CloseError):
    """The protocol version is not a number."""

    code = 4006


class UnsupportedProtocolError(CloseError):
    """The protocol version is one that this server does not speak."""

    code = 4007


class NoProtocolError(CloseError):
    """The client did not say which protocol version it speaks."""

    code = 4008


class UnauthorizedError(CloseError):
    """The connection itself is not allowed: a foreign origin, say."""

    code = 4009


class TerminatedError(CloseError):
    """The application has ended all connections of this user, who is not to come back."""

    code = 4009


class OverCapacityError(CloseError):
    """The server cannot serve this connection, now: the client waits before it comes back."""

    code = 4100


class ReconnectError(CloseError):
    """The client should come back at once: here the connection cannot go on."""

    code = 4200


class PongTimeoutError(CloseError):
    """Nothing was heard from the client, not even the answer to a ping."""

    code = 4201


class ProtocolError(PusherError):
    """The client asked for something it cannot have: a `pusher:error` event says so."""


class InvalidMessageError(ProtocolError):
    """The message is not one that the protocol knows."""


class SubscriptionError(ProtocolError):
    """A subscription was refused.

    Besides `pusher:error` the client gets `pusher:subscription_error` on the channel, which is
    where pusher-js and Laravel Echo let applications listen for it.
    """

    def __init__(self, channel: str, message: str, *, kind: str, status: int) -> None:
        super().__init__(message)
        self.channel = channel
        self.kind = kind
        self.status = status


class UnauthorizedSubscriptionError(SubscriptionError):
    """The signature, or what it signs, does not let the client in."""

    code = 4009

    def __init__(self, channel: str, message: str) -> None:
        super().__init__(channel, message, kind="AuthError", status=401)


class InvalidChannelError(SubscriptionError):
    """The name is none that a channel can have."""

    def __init__(self, channel: str, message: str) -> None:
        super().__init__(channel, message, kind="InvalidChannel", status=400)


class SubscriptionLimitError(SubscriptionError):
    """The channel, its members or the connection are at a limit."""

    def __init__(self, channel: str, message: str) -> None:
        super().__init__(channel, message, kind="LimitReached", status=413)


class SigninError(ProtocolError):
    """The sign-in was refused."""

    code = 4009


class WatchlistLimitError(ProtocolError):
    """The watchlist has too many users: the first of them are watched."""

    code = 4302


class ClientEventError(ProtocolError):
    """A client event was refused."""


class ClientEventRateError(ClientEventError):
    """A client event was refused because the client sends too many."""

    code = 4301
