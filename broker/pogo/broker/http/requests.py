"""What the bodies of requests say. SDKs send further fields; those are nobody's business."""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from pogo.broker.events import Event
from pogo.broker.http.errors import BadRequestError
from pogo.broker.http.info import TRIGGER_INFO, Attribute, parse_info

_SOCKET_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
"""Source: Pusher Channels documentation, as its SDKs check it; ours have 10 digits each."""


class _Trigger(msgspec.Struct):
    name: str
    data: str
    channel: str | None = None
    channels: list[str] | None = None
    socket_id: str | None = None
    info: str | None = None


class _BatchItem(msgspec.Struct):
    name: str
    data: str
    channel: str
    socket_id: str | None = None
    info: str | None = None


class _Batch(msgspec.Struct):
    batch: list[_BatchItem]


class Trigger(NamedTuple):
    """One event to publish, and what its caller wants to know of its channels."""

    event: Event
    info: frozenset[Attribute]


_Body = TypeVar("_Body")
_trigger = msgspec.json.Decoder(_Trigger)
_batch = msgspec.json.Decoder(_Batch)


def parse_trigger(app_id: str, body: bytes, message_id: str) -> Trigger:
    """Read the body of `POST /apps/{id}/events`.

    Raises:
        BadRequestError: It is none.
    """
    sent = _decode(_trigger, body)
    channels: Sequence[str]
    if sent.channels is None:
        if sent.channel is None:
            raise BadRequestError("the body names no channel: it needs `channel` or `channels`")
        channels = (sent.channel,)
    elif sent.channel is None:
        channels = sent.channels
    else:
        raise BadRequestError("the body has both `channel` and `channels`")
    socket_id = _check_socket_id(sent.socket_id)
    event = Event(app_id, channels, sent.name, sent.data, socket_id, message_id)
    return Trigger(event, parse_info(sent.info, TRIGGER_INFO))


def parse_batch(app_id: str, body: bytes, max_items: int) -> list[Trigger]:
    """Read the body of `POST /apps/{id}/batch_events`.

    Raises:
        BadRequestError: It is none, or has more than `max_items` events.
    """
    items = _decode(_batch, body).batch
    if len(items) > max_items:
        raise BadRequestError(f"a batch has at most {max_items} events, not {len(items)}")
    return [
        Trigger(
            Event(app_id, (item.channel,), item.name, item.data, _check_socket_id(item.socket_id)),
            parse_info(item.info, TRIGGER_INFO),
        )
        for item in items
    ]


def _decode(decoder: msgspec.json.Decoder[_Body], body: bytes) -> _Body:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"the body is not what it should be: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is not JSON text in UTF-8: {error}") from None
    except RecursionError:
        raise BadRequestError("the body is nested too deeply") from None


def _check_socket_id(socket_id: str | None) -> str:
    if not socket_id:
        return ""
    if _SOCKET_ID.fullmatch(socket_id) is None:
        raise BadRequestError("socket_id is not two numbers with a point between them")
    return socket_id
