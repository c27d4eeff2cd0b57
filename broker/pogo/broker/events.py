"""What callers hand in."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class Event(NamedTuple):
    """One event to publish, whichever way it came."""

    app_id: str
    channels: Sequence[str]
    """One name, or those of a BroadcastMulti; none where those could not be read."""
    name: str
    data: str
    """Relayed untouched as the event's `data`."""
    socket_id: str = ""
    """The connection that must not receive it; empty for none."""
    message_id: str = ""
    """Names the event across retries; empty: it gets one of its own."""


_decode_names = msgspec.json.Decoder(list[str]).decode


def parse_channels(text: str) -> list[str]:
    """Read the channels of a BroadcastMulti; empty where the text is no JSON array of strings."""
    try:
        return _decode_names(text)
    except (msgspec.DecodeError, RecursionError):
        return []
