"""Writes of records that nobody waits for, gathered for a moment and made as one.

A caller who sends one event after the other would else have each of its calls pay for a system call
and a round trip that change nothing about its answer.
"""

import asyncio
from collections.abc import Sequence

from pogo.records import Records, RecordsError, Write

GATHER = 0.01
"""Seconds for which writes are gathered. A broker that dies loses what it has not written."""

Results = Sequence[int | RecordsError]
"""What became of each write, as `Records.write` says."""


class GroupedWrites:
    """Makes the writes of several callers as one. It belongs to one event loop."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._waiting: list[tuple[Sequence[Write], asyncio.Future[Results]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, writes: Sequence[Write]) -> Results:
        """Write, together with what others write within a moment."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Results] = loop.create_future()
        if not self._waiting:
            loop.call_later(GATHER, self._begin)
        self._waiting.append((writes, done))
        return await done

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._write(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(
        self, waiting: Sequence[tuple[Sequence[Write], "asyncio.Future[Results]"]]
    ) -> None:
        try:
            results = await self._records.write(
                [write for writes, _ in waiting for write in writes]
            )
        except BaseException as error:  # noqa: BLE001 - whoever waits is to see it, whatever it is
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)
            return
        start = 0
        for writes, done in waiting:
            if not done.done():
                done.set_result(results[start : start + len(writes)])
            start += len(writes)
