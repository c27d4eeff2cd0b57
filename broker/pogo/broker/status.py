"""What became of an event: one of the ten codes that callers know, and a sentence for people."""

from dataclasses import dataclass
from enum import IntEnum


class StatusCode(IntEnum):
    """The ten documented codes; the values are those of `pogo.rpc.v1.Status`."""

    SUCCESS = 0
    """The bus server has the event."""

    HUB_MISSING = 1
    """The app is unknown or disabled, or no edge is alive."""

    CHANNEL_TOO_LONG = 2
    """A channel name is too long, empty, or has a character that no channel may have."""

    EVENT_TOO_LONG = 3
    """The event name is too long or empty."""

    PAYLOAD_TOO_LARGE = 4
    """The data, or the delivery made of it, is over the limit."""

    INVALID_PAYLOAD_JSON = 5
    """The data is not JSON text."""

    BROKER_PUBLISH_FAILED = 6
    """The bus did not confirm; the event may have been delivered all the same."""

    INVALID_MULTI_CHANNEL_JSON = 7
    """The channels of a BroadcastMulti are not a JSON array of names that may go together."""

    BROKER_QUEUE_FULL = 8
    """This broker's queues are full: it is overloaded at large."""

    SHARD_QUEUE_FULL = 9
    """The queue of a channel's shard is full: the channel is hot."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one event."""

    status: StatusCode
    detail: str = ""
    """What was wrong, for people; empty on success."""


SUCCESS = Outcome(StatusCode.SUCCESS)
