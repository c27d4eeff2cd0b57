"""Channel names, and the kinds that their prefixes make them.

Source: Pusher Channels documentation, "Channels" (names) and "Channel types" (prefixes). Prefixes
count with their dash: `privateer` and `presence` are public channels.
"""

import enum
import re

MAX_CHANNEL_NAME = 200
"""Characters. Pusher documents 164, its server SDKs send up to 200."""

MAX_EVENT_NAME = 200
"""Characters, as Pusher's server SDKs allow."""

SERVER_TO_USER = "#server-to-user-"
"""The channels that carry what a back end sends to one signed-in user, on all of their devices."""

_NAME = re.compile(r"#server-to-user-[A-Za-z0-9_\-=@,.;]+|[A-Za-z0-9_\-=@,.;]+")


class ChannelKind(enum.Enum):
    """What a channel is, by the prefix of its name."""

    PUBLIC = ""
    CACHE = "cache-"
    PRIVATE = "private-"
    PRIVATE_CACHE = "private-cache-"
    ENCRYPTED = "private-encrypted-"
    ENCRYPTED_CACHE = "private-encrypted-cache-"
    PRESENCE = "presence-"
    PRESENCE_CACHE = "presence-cache-"
    SERVER_TO_USER = SERVER_TO_USER

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        # A client must prove with a signature that it may subscribe.
        self.needs_auth = prefix.startswith(("private-", "presence-"))
        self.is_presence = prefix.startswith("presence-")
        self.is_encrypted = prefix.startswith("private-encrypted-")
        self.is_cache = prefix.endswith("cache-")
        # Nobody but the back end can encrypt, so clients have nothing to say there.
        self.allows_client_events = self.needs_auth and not self.is_encrypted


_LONGEST_PREFIX_FIRST = sorted(
    (kind for kind in ChannelKind if kind is not ChannelKind.PUBLIC),
    key=lambda kind: -len(kind.prefix),
)


class ChannelNameError(ValueError):
    """The name is none that a channel can have; the message says why."""


def channel_kind(name: str) -> ChannelKind:
    """Tell the kind of the channel with this name."""
    for kind in _LONGEST_PREFIX_FIRST:
        if name.startswith(kind.prefix):
            return kind
    return ChannelKind.PUBLIC


def check_channel_name(name: str, limit: int = MAX_CHANNEL_NAME) -> None:
    """Accept a name of 1 to `limit` characters out of `A-Za-z0-9_-=@,.;`.

    Raises:
        ChannelNameError: It is none. A leading `#` is legal in `#server-to-user-{id}` only.
    """
    if not name:
        raise ChannelNameError("a channel name is empty")
    if len(name) > limit:
        raise ChannelNameError(f"a channel name has at most {limit} characters, not {len(name)}")
    if _NAME.fullmatch(name) is None:
        raise ChannelNameError("a channel name is made of A-Z a-z 0-9 _ - = @ , . ; only")
