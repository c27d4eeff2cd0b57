"""The standard health service, kept true."""

import asyncio
from typing import Any

from grpc_health.v1 import health, health_pb2

from pogo.rpc.v1 import broker_pb2
from pogo.telemetry import get_logger

SERVICE: str = broker_pb2.DESCRIPTOR.services_by_name["Broker"].full_name

log = get_logger()


class Health:
    """Answers for the whole server (`""`) and for `pogo.rpc.v1.Broker`, which are one.

    `serving` may be set at any time, also from a bus's status listener; a task tells those who
    watch.
    """

    def __init__(self) -> None:
        self.servicer: Any = health.aio.HealthServicer()
        self._serving = False
        self._changed = asyncio.Event()
        self._changed.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def serving(self) -> bool:
        """Whether events are taken."""
        return self._serving

    @serving.setter
    def serving(self, serving: bool) -> None:
        self._serving = serving
        self._changed.set()

    async def start(self) -> None:
        """Begin to answer."""
        await self._tell()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_report_failure)

    async def stop(self) -> None:
        """Stop telling. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        kinds = health_pb2.HealthCheckResponse
        status = kinds.SERVING if self._serving else kinds.NOT_SERVING
        for name in ("", SERVICE):
            await self.servicer.set(name, status)


def _report_failure(task: asyncio.Task[None]) -> None:
    """See to it that health does not stand still unseen."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("broker health is no longer told", exc_info=error)
