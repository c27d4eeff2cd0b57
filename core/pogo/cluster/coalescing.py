"""Equal questions that are under way at once are one question."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from pogo.cluster.questions import Answers
from pogo.rpc.v1.cluster_pb2 import Question

Ask = Callable[[Question], Awaitable[Answers]]
"""Asks one question; what that may raise, everyone who shares it gets."""


class Coalescing:
    """Asks what is not being asked already, and else shares the answer.

    Only for questions that change nothing. There are never more of them than `ask` lets wait.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._under_way: dict[bytes, asyncio.Task[Answers]] = {}

    async def ask(self, question: Question) -> Answers:
        """Ask, or wait for the answer to the same question; `question` has no id yet."""
        key = question.SerializeToString(deterministic=True)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._asked(question))
            self._under_way[key] = task
            task.add_done_callback(partial(self._answered, key))
        # Whoever gives up does not take the answer from the others.
        return await asyncio.shield(task)

    async def _asked(self, question: Question) -> Answers:
        return await self._ask(question)

    def _answered(self, key: bytes, task: asyncio.Task[Answers]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            # Looked at, also where nobody waits any more.
            task.exception()
