"""Closing all clients without a storm: spread out, so that they do not all come back at once."""

import asyncio
from collections.abc import Iterable

from pogo.edge.connection import Connection
from pogo.pusher.errors import ReconnectError

_STEP = 0.05
"""Seconds between two groups of closes."""

_SHARE = 0.7
"""The part of the time over which closes are spread; the rest is for goodbyes, and for presence
that lingers."""

_RATE = 100.0
"""Closes a second that need no spreading out: a few clients do not make a storm."""


async def close_all(connections: Iterable[Connection], timeout: float, message: str) -> None:  # noqa: ASYNC109 (what there is to spread over)
    """Close connections with 4200, in `timeout` seconds at the most."""
    waiting = list(connections)
    spread = min(timeout * _SHARE, len(waiting) / _RATE)
    steps = max(1, int(spread / _STEP))
    for step in range(steps):
        for connection in waiting[step::steps]:
            connection.close(ReconnectError(message))
        if step + 1 < steps:
            await asyncio.sleep(_STEP)
