"""Waiting for what has to come, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_LOOK_AGAIN = 0.02


def nothing() -> object:
    """Have nothing to add."""
    return ""


async def eventually(
    condition: Callable[[], bool], within: float, otherwise: Callable[[], object] = nothing
) -> None:
    """Wait until something holds, and fail with what `otherwise` tells if it takes too long."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {otherwise()}"
        await asyncio.sleep(_LOOK_AGAIN)


async def becomes(expected: object, look: Callable[[], Awaitable[object]], within: float) -> None:
    """Wait until what is looked at is as expected; it may be away meanwhile."""
    deadline = time.monotonic() + within
    actual: object = None
    while True:
        try:
            async with asyncio.timeout(within):
                actual = await look()
        except OSError as error:  # a timeout is one, too
            actual = error
        if expected == actual:
            return
        assert time.monotonic() < deadline, f"not within {within} s: {expected} but {actual}"
        await asyncio.sleep(_LOOK_AGAIN)


def until(expected: object, look: Callable[[], object], within: float) -> None:
    """Wait until what is looked at is as expected, in a test without an event loop."""
    deadline = time.monotonic() + within
    while expected != (actual := look()):
        assert time.monotonic() < deadline, f"not within {within} s: {expected} but {actual}"
        time.sleep(_LOOK_AGAIN)


async def moment(since: float, seconds: float) -> None:
    """Wait until so many seconds have passed since a time of the monotonic clock."""
    await asyncio.sleep(max(0.0, since + seconds - time.monotonic()))
