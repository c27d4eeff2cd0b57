"""What a client can say, read from its text messages.

Source: Pusher Channels protocol, "Channel events (client to server)" and "Client events". A
message is an object with `event`, and `data` as an object or as a string that holds one: pusher-js
sends the object, some SDKs the string.
"""

from typing import TypeVar

import msgspec

from pogo.pusher.errors import InvalidMessageError, NotUtf8Error

CLIENT_EVENT_PREFIX = "client-"


class Ping(msgspec.Struct, frozen=True):
    """The client asks whether the server is there."""


class Pong(msgspec.Struct, frozen=True):
    """The client answers that it is there."""


class Subscribe(msgspec.Struct, frozen=True):
    """The client wants to receive a channel's events."""

    channel: str
    auth: str | None = None
    channel_data: str | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """The client no longer wants them."""

    channel: str


class Signin(msgspec.Struct, frozen=True):
    """The client says who its user is."""

    auth: str
    user_data: str


class ClientEvent(msgspec.Struct, frozen=True):
    """The client has an event for the other subscribers of a channel; `data` is any JSON."""

    channel: str
    event: str
    data: msgspec.Raw


Command = Ping | Pong | Subscribe | Unsubscribe | Signin | ClientEvent
"""Everything that a client can say."""


class _Message(msgspec.Struct):
    event: str
    channel: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_C = TypeVar("_C", Subscribe, Unsubscribe, Signin)

_MESSAGE = msgspec.json.Decoder(_Message)
_STRING = msgspec.json.Decoder(str)
_SUBSCRIBE = msgspec.json.Decoder(Subscribe)
_UNSUBSCRIBE = msgspec.json.Decoder(Unsubscribe)
_SIGNIN = msgspec.json.Decoder(Signin)
_PING = Ping()
_PONG = Pong()


def parse_command(message: bytes) -> Command:
    """Read one text message.

    Raises:
        NotUtf8Error: It is not UTF-8.
        InvalidMessageError: It is not one that the protocol knows.
    """
    try:
        # `Raw` is passed on as it came, and msgspec does not look at the encoding inside it.
        message.decode()
    except UnicodeDecodeError:
        raise NotUtf8Error("a text message is not UTF-8") from None
    try:
        return _command(_MESSAGE.decode(message))
    except msgspec.ValidationError as error:
        raise InvalidMessageError(f"a message is incomplete: {error}") from None
    except msgspec.DecodeError as error:
        raise InvalidMessageError(f"a message is not JSON: {error}") from None
    except RecursionError:
        raise InvalidMessageError("a message is nested too deeply") from None


def _command(message: _Message) -> Command:
    event = message.event
    match event:
        case "pusher:subscribe":
            return _data(_SUBSCRIBE, message.data)
        case "pusher:unsubscribe":
            return _data(_UNSUBSCRIBE, message.data)
        case "pusher:ping":
            return _PING
        case "pusher:pong":
            return _PONG
        case "pusher:signin":
            return _data(_SIGNIN, message.data)
    if not event.startswith(CLIENT_EVENT_PREFIX):
        raise InvalidMessageError(f"the event {event[:200]!r} is none that a client can send")
    if message.channel is None:
        raise InvalidMessageError("a client event names no channel")
    return ClientEvent(message.channel, event, message.data)


def _data(decoder: "msgspec.json.Decoder[_C]", data: msgspec.Raw) -> _C:
    """Decode `data`, once or, where it is a string that holds JSON, twice."""
    raw: memoryview | bytes = memoryview(data)
    if raw[:1] == b'"':
        raw = _STRING.decode(raw).encode()
    return decoder.decode(raw)
