"""Doing the same for many things, some at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


async def for_each(
    items: Sequence[_T], work: Callable[[_T], Awaitable[None]], *, at_once: int
) -> None:
    """Do `work` for all items, `at_once` at a time.

    The first failure ends it and is raised; what is under way then is cancelled.
    """
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
