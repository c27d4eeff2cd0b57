"""Events as endpoints are told of them, each written as JSON text.

Source: Pusher Channels documentation, "Webhooks". The `id` is Pogo's own: an event may be posted
more than once, and receivers tell repeats by it.
"""

import hashlib
import secrets

import msgspec

from pogo.settings import WebhookEvent

_ID_BYTES = 12
"""Bytes of an event's id; it is written in hexadecimal, so it has 24 digits."""

_NULL = msgspec.Raw(b'"null"')
"""The data of a client event that came without any, as JSON text."""


class _Event(msgspec.Struct, omit_defaults=True):
    name: str
    channel: str
    id: str
    user_id: str | None = None
    event: str | None = None
    data: msgspec.Raw | None = None
    socket_id: str | None = None
    subscription_count: int | None = None


class _ClientEvent(msgspec.Struct):
    """A client's message, as edges put it on the bus."""

    event: str
    channel: str
    data: msgspec.Raw = msgspec.Raw()
    user_id: str | None = None


_encode = msgspec.json.Encoder().encode
_CLIENT_EVENT = msgspec.json.Decoder(_ClientEvent)


def new_event_id() -> str:
    """Make the id of an event that happens once."""
    return secrets.token_hex(_ID_BYTES)


def shared_event_id(name: WebhookEvent, channel: str, window: int) -> str:
    """Make the id that all who see the same event in the same span of time give it."""
    text = f"{name}\0{channel}\0{window}"
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _ID_BYTES]


def encode_event(
    name: WebhookEvent,
    channel: str,
    event_id: str,
    *,
    user_id: str | None = None,
    subscription_count: int | None = None,
) -> bytes:
    """Write an event: `user_id` of a member's, `subscription_count` of a count."""
    return _encode(
        _Event(name, channel, event_id, user_id=user_id, subscription_count=subscription_count)
    )


def encode_client_event(message: bytes, socket_id: str, event_id: str) -> bytes:
    """Write a client event, out of the message that the other subscribers got.

    Its `data` is text: as the client wrote it if it was a string, and else its JSON text. The
    message's `user_id`, which only those on presence channels have, goes along.
    """
    sent = _CLIENT_EVENT.decode(message)
    return _encode(
        _Event(
            "client_event",
            sent.channel,
            event_id,
            user_id=sent.user_id,
            event=sent.event,
            data=_as_text(sent.data),
            socket_id=socket_id,
        )
    )


def _as_text(data: msgspec.Raw) -> msgspec.Raw:
    """Write data as a string; what is one already is not looked into."""
    raw = bytes(data)
    if raw.startswith(b'"'):
        return data
    return msgspec.Raw(_encode(raw.decode())) if raw else _NULL
