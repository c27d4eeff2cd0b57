"""Where queues and ledgers are: subjects of NATS and keys of Redis, made of encoded tokens."""

import functools

from pogo.bus.subjects import decode_token, encode_token
from pogo.webhooks.interface import Queue

_CACHED = 4096
"""Queues whose places are remembered: all of a large deployment."""

# The token `=` is no app's: channels live below `pogo.v1.{app}`.
EVENTS = "pogo.v1.=.webhooks"
"""Below it are the events of all queues."""

HINTS = "pogo.v1.=.webhooked"
"""Below it, or on it, it is told that an event was stored."""

LEDGERS = "pogo.v1.=.ledgers"
"""Below it are the ledgers of all apps."""


@functools.lru_cache(_CACHED)
def queue_tokens(queue: Queue) -> str:
    """Name a queue by two tokens, `{app}.{endpoint}`."""
    return f"{encode_token(queue.app_id)}.{encode_token(queue.endpoint)}"


@functools.lru_cache(_CACHED)
def queue_of(tokens: bytes) -> Queue:
    """Read the two tokens of a queue.

    Raises:
        ValueError: They are no such thing.
    """
    app_id, endpoint = map(decode_token, tokens.decode().split("."))
    return Queue(app_id, endpoint)
