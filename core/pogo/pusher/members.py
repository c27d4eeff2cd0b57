"""Users: who a connection signed in as, and who is present on a channel.

Source: Pusher Channels protocol, "pusher:signin"; documentation, "Presence channels" and "Auth
signatures". Both arrive as JSON text that the application signed.
"""

from typing import TypeVar

import msgspec

NO_INFO = msgspec.Raw(b"null")
"""What is known of a user of whom the application says nothing but the id."""

MAX_USER_ID = 128
"""Characters, as Pusher documents for presence channels."""


class Member(msgspec.Struct, frozen=True):
    """Someone present on a channel. Ids are strings, also where the application wrote a number."""

    user_id: str
    user_info: msgspec.Raw = NO_INFO


class User(msgspec.Struct, frozen=True):
    """Who a connection signed in as."""

    id: str
    user_info: msgspec.Raw = NO_INFO
    watchlist: tuple[str, ...] = ()
    """The ids of the users of whom this one wants to know whether they are online."""

    def as_member(self) -> Member:
        """Make the presence member that this user is without `channel_data`."""
        return Member(self.id, self.user_info)


MAX_WATCHLIST = 100
"""Users on a watchlist, as Pusher documents."""


class _ChannelData(msgspec.Struct):
    user_id: str | int
    user_info: msgspec.Raw = NO_INFO


_CHANNEL_DATA = msgspec.json.Decoder(_ChannelData)
_USER_DATA = msgspec.json.Decoder(User)
_MEMBER = msgspec.json.Decoder(Member)


def parse_channel_data(channel_data: str) -> Member:
    """Read the member out of a presence subscription.

    Raises:
        ValueError: There is no usable `user_id` in it; the message says why.
    """
    data = _decode(_CHANNEL_DATA, channel_data, "channel_data")
    return Member(_checked_id(str(data.user_id), "channel_data.user_id"), data.user_info)


def parse_user_data(user_data: str) -> User:
    """Read the user out of a sign-in; pusher-js takes a string for an id only.

    Raises:
        ValueError: There is no usable `id` in it; the message says why.
    """
    user = _decode(_USER_DATA, user_data, "user_data")
    _checked_id(user.id, "user_data.id")
    return user


def parse_member(text: bytes) -> Member:
    """Read a member that `encode_member` wrote.

    Raises:
        ValueError: It did not.
    """
    return _MEMBER.decode(text)


def encode_member(member: Member) -> bytes:
    """Write a member as JSON text, for the registry."""
    return msgspec.json.encode(member)


_T = TypeVar("_T")


def _decode(decoder: "msgspec.json.Decoder[_T]", text: str, name: str) -> _T:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def _checked_id(user_id: str, name: str) -> str:
    if not 1 <= len(user_id) <= MAX_USER_ID:
        raise ValueError(f"{name} has 1 to {MAX_USER_ID} characters")
    return user_id
