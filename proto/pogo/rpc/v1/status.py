"""The ten documented codes, as Python's callers and the broker both know them."""

from enum import IntEnum


class StatusCode(IntEnum):
    """What became of an event; the values are those of `pogo.rpc.v1.Status`."""

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
    """Not confirmed, or the broker was not reached in time: the event may have been delivered.
    A retry with the same message id is recognisably the same event."""

    INVALID_MULTI_CHANNEL_JSON = 7
    """The channels are not a JSON array of names, none, too many, or may not go together."""

    BROKER_QUEUE_FULL = 8
    """This broker's queues are full, it is overloaded at large: try again later."""

    SHARD_QUEUE_FULL = 9
    """The queue of a channel's shard is full, the channel is hot: try again later."""
