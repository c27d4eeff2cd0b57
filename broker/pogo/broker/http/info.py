"""The attributes of channels that can be asked for, `info` in requests.

Source: Pusher Channels documentation, "HTTP API Reference".
"""

from typing import Literal

from pogo.broker.http.errors import BadRequestError
from pogo.cluster import ChannelCount
from pogo.pusher.channels import ChannelKind, channel_kind

Attribute = Literal["user_count", "subscription_count", "cache"]

TRIGGER_INFO: frozenset[Attribute] = frozenset({"user_count", "subscription_count"})
LIST_INFO: frozenset[Attribute] = TRIGGER_INFO
CHANNEL_INFO: frozenset[Attribute] = TRIGGER_INFO | {"cache"}

_PRESENCE = ChannelKind.PRESENCE.prefix


def parse_info(text: str | None, known: frozenset[Attribute]) -> frozenset[Attribute]:
    """Read a comma-separated list of attributes; none where there is no text.

    Raises:
        BadRequestError: One is not known, there.
    """
    if not text:
        return frozenset()
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise BadRequestError(f"info has {name!r}; there is {' and '.join(sorted(known))}")
    return frozenset(attribute for attribute in known if attribute in names)


def check_list_info(info: frozenset[Attribute], prefix: str) -> None:
    """Check that all channels with a prefix have what is asked of them.

    Raises:
        BadRequestError: They do not.
    """
    if "user_count" in info and not prefix.startswith(_PRESENCE):
        raise BadRequestError(f"user_count needs a filter_by_prefix that begins with {_PRESENCE}")
    if "subscription_count" in info and prefix.startswith(_PRESENCE):
        raise BadRequestError("presence channels have a user_count and no subscription_count")


def check_channel_info(info: frozenset[Attribute], channel: str) -> None:
    """Check that a channel has what is asked of it.

    Raises:
        BadRequestError: It does not.
    """
    kind = channel_kind(channel)
    if "user_count" in info and not kind.is_presence:
        raise BadRequestError("only presence channels have a user_count")
    if "subscription_count" in info and kind.is_presence:
        raise BadRequestError("a presence channel has a user_count and no subscription_count")
    if "cache" in info and not kind.is_cache:
        raise BadRequestError("only cache channels have a cache")


def describe(info: frozenset[Attribute], channel: str, count: ChannelCount) -> dict[str, object]:
    """Tell of a channel what is asked, as far as a channel of its kind has it."""
    told: dict[str, object] = {}
    is_presence = channel.startswith(_PRESENCE)
    if "user_count" in info and is_presence:
        told["user_count"] = count.users
    if "subscription_count" in info and not is_presence:
        told["subscription_count"] = count.subscriptions
    return told
