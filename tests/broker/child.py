"""A broker in a process of its own, which stops itself at the worst moment.

    python -m tests.broker.child nats 4222 freeze claimed

It kills (`kill`) or freezes (`freeze`) itself as soon as the store has its first claim (`claimed`),
or has published and is about to record that (`published`). Its first line is its gRPC port.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal, cast

import grpc

from pogo.records import Record, Records, RecordsError, Write
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc
from pogo.telemetry import configure_logging
from tests.broker.helpers import bearer, running_broker, token
from tests.broker.places import Kind, Place
from tests.servers import HOST

How = Literal["kill", "freeze"]
When = Literal["claimed", "published"]

START_TIMEOUT = 20.0


class FatalRecords:
    """Records of which one write is the last thing that the process does for a while."""

    def __init__(self, records: Records, how: How, when: When) -> None:
        self._records = records
        self._signal = signal.SIGKILL if how == "kill" else signal.SIGSTOP
        self._when: When | None = when

    @property
    def connected(self) -> bool:
        """Whether the store is reachable."""
        return self._records.connected

    async def start(self) -> None:
        """Connect."""
        await self._records.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._records.close()

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write, and stop behind or before it."""
        is_claim = writes[0].revision == 0
        if self._when == "published" and not is_claim:
            self._stop()
        results = await self._records.write(writes)
        if self._when == "claimed" and is_claim:
            self._stop()
        return results

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read."""
        return await self._records.get(keys)

    def _stop(self) -> None:
        self._when = None
        os.kill(os.getpid(), self._signal)


class ChildBroker:
    """The process, seen from a test."""

    def __init__(
        self, process: asyncio.subprocess.Process, stub: "broker_pb2_grpc.BrokerAsyncStub"
    ):
        self._process = process
        self._stub = stub

    async def publish(
        self,
        item: broker_pb2.PublishRequest,
        timeout: float = 20.0,  # noqa: ASYNC109 (the call's)
    ) -> broker_pb2.PublishReply:
        """Publish one event."""
        return await self._stub.Publish(item, metadata=bearer(token()), timeout=timeout)

    async def until_frozen(self) -> None:
        """Wait until it has stopped itself."""
        await asyncio.to_thread(os.waitid, os.P_PID, self._process.pid, os.WSTOPPED)

    async def until_killed(self) -> None:
        """Wait until it has killed itself."""
        assert -signal.SIGKILL == await self._process.wait()

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def child_broker(place: Place, how: How, when: When) -> AsyncIterator[ChildBroker]:
    """Run a broker that will stop itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.broker.child", place.kind, str(place.port), how, when),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT):
            port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
            yield ChildBroker(process, broker_pb2_grpc.BrokerStub(channel))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _main(kind: str, port: str, how: str, when: str) -> None:
    configure_logging("json", "error")
    place = Place(cast("Kind", kind), int(port))
    bus = place.bus()
    records = FatalRecords(place.records(), cast("How", how), cast("When", when))
    await bus.start()
    await records.start()
    async with running_broker(bus, records=records) as broker:
        print(broker.server.grpc_port, flush=True)  # noqa: T201 (the test reads it)
        await asyncio.to_thread(sys.stdin.read)
    await records.close()
    await bus.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
