"""What the server can say, written as text messages in UTF-8.

Source: Pusher Channels protocol, "Events". The `data` of every event is a string that holds JSON
("double encoding"), but for `pusher:error`, `pusher:pong` and `pusher:signin_success`, whose `data`
is an object. What a back end publishes is a string already and is never looked into.
"""

from collections.abc import Mapping, Sequence

import msgspec

from pogo.pusher.errors import PusherError, SubscriptionError
from pogo.pusher.members import Member

PONG = b'{"event":"pusher:pong","data":{}}'

_encode = msgspec.json.Encoder().encode


class _Event(msgspec.Struct, omit_defaults=True):
    event: str
    channel: str | None = None
    data: object = None
    user_id: str | None = None


def encode_data(data: str) -> msgspec.Raw:
    """Write the data of an event once, for `encode_event` on several channels."""
    return msgspec.Raw(_encode(data))


def encode_event(event: str, channel: str, data: str | msgspec.Raw) -> bytes:
    """Write an event that a back end published; its data is text, or what `encode_data` made."""
    return _encode(_Event(event, channel, data))


def encode_client_event(
    event: str, channel: str, data: msgspec.Raw, user_id: str | None = None
) -> bytes:
    """Write an event that a client sent: `data` keeps its type, the rest is not the sender's word.

    `user_id` is the authenticated one, on presence channels.
    """
    return _encode(_Event(event, channel, data if memoryview(data).nbytes else None, user_id))


def connection_established(socket_id: str, activity_timeout: int) -> bytes:
    """Write the first message; the client pings after `activity_timeout` seconds of silence."""
    data = {"socket_id": socket_id, "activity_timeout": activity_timeout}
    return _encode(_Event("pusher:connection_established", data=_text(data)))


def error(reason: PusherError) -> bytes:
    """Write `pusher:error`, with the code `null` where the protocol has none."""
    data = {"message": reason.message, "code": reason.code}
    return _encode(_Event("pusher:error", data=data))


def subscription_error(reason: SubscriptionError) -> bytes:
    """Write the event that pusher-js passes on to those who listen on the channel."""
    data = {"type": reason.kind, "error": reason.message, "status": reason.status}
    return _encode(_Event("pusher:subscription_error", reason.channel, data))


def subscription_succeeded(channel: str, data: str = "{}") -> bytes:
    """Write the answer to a subscription; `data` is `presence_data` on presence channels."""
    return _encode(_Event("pusher_internal:subscription_succeeded", channel, data))


def cache_miss(channel: str) -> bytes:
    """Write, after the answer to a subscription, that a cache channel remembers no event."""
    return _encode(_Event("pusher:cache_miss", channel, "{}"))


def presence_data(members: Mapping[str, Member]) -> str:
    """Write the roster, by user id, that a subscriber of a presence channel begins with."""
    roster = {
        "ids": list(members),
        "hash": {user_id: member.user_info for user_id, member in members.items()},
        "count": len(members),
    }
    return _text({"presence": roster})


def member_added(channel: str, member: Member) -> bytes:
    """Write that a user's first connection joined."""
    data = _text({"user_id": member.user_id, "user_info": member.user_info})
    return _encode(_Event("pusher_internal:member_added", channel, data))


def member_removed(channel: str, user_id: str) -> bytes:
    """Write that a user's last connection left."""
    return _encode(_Event("pusher_internal:member_removed", channel, _text({"user_id": user_id})))


def watchlist_events(online: Sequence[str], offline: Sequence[str]) -> bytes:
    """Write which of the watched users came online and went offline.

    The shape is what pusher-js reads: a string that holds `{"events": [{"name", "user_ids"}]}`.
    """
    named = (("online", online), ("offline", offline))
    events = [{"name": name, "user_ids": user_ids} for name, user_ids in named if user_ids]
    return _encode(_Event("pusher_internal:watchlist_events", data=_text({"events": events})))


def subscription_count(channel: str, count: int) -> bytes:
    """Write how many subscribers a channel has."""
    data = _text({"subscription_count": count})
    return _encode(_Event("pusher_internal:subscription_count", channel, data))


def signin_success(user_data: str) -> bytes:
    """Write the answer to a sign-in, with the user's data as it was signed."""
    return _encode(_Event("pusher:signin_success", data={"user_data": user_data}))


def _text(value: object) -> str:
    return _encode(value).decode()
