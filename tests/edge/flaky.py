"""A registry writer, and a registry that makes it hard for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from prometheus_client import CollectorRegistry

from pogo.cluster import EDGE, Membership, Timing
from pogo.edge.metrics import EdgeMetrics
from pogo.edge.registry_writer import RegistryWriter
from pogo.registry import Key, RegistryError, RegistryUnavailableError, StatusListener, Write
from pogo.registry.memory import MemoryRegistry
from tests.edge.helpers import eventually

TOPIC = "p.app.room"
QUICK = Timing(beat=0.04, dead_after=0.12)
Batch = list[tuple[str, bytes | None]]


class FlakyRegistry(MemoryRegistry):
    """A memory registry that can be away, refuse items, or be held up; it keeps what it is asked.

    Only writes of entries are concerned: nodes beat on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.connected = True
        # Unlike `connected`, this is found out only by trying.
        self.answers = True
        self.refused: set[str] = set()
        # The items and values of each batch.
        self.batches: list[Batch] = []
        self.gate = asyncio.Event()
        self.gate.set()
        # Called with each batch, while it is under way.
        self.meanwhile: Callable[[], None] | None = None
        self.in_flight = 0
        self._status: list[StatusListener] = []

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` when the test says so."""
        self._status.append(listener)

    def be(self, *, connected: bool) -> None:
        """Be away, or back."""
        self.connected = connected
        for listener in self._status:
            listener(connected, "away")

    async def write(self, writes: Sequence[Write]) -> list[int | RegistryError]:
        """Keep the batch, and write what is not refused."""
        self.batches.append([(Key.parse(write.key).item, write.value) for write in writes])
        self.in_flight += 1
        assert 1 == self.in_flight
        try:
            if self.meanwhile is not None:
                self.meanwhile()
            await self.gate.wait()
            await asyncio.sleep(0)
            return [await self._outcome(write) for write in writes]
        finally:
            self.in_flight -= 1

    async def _outcome(self, write: Write) -> int | RegistryError:
        if not self.answers:
            return RegistryUnavailableError("no answer")
        if Key.parse(write.key).item in self.refused:
            return RegistryError("it is full")
        (outcome,) = await super().write([write])
        return outcome


class Case:
    """A writer that runs, for an edge that lives."""

    def __init__(self) -> None:
        self.registry = FlakyRegistry()
        self.metrics = CollectorRegistry()
        self.membership = Membership(self.registry, EDGE, "edge", ready=False, timing=QUICK)
        self.writer = RegistryWriter(self.registry, self.membership, EdgeMetrics(self.metrics))

    def put(self, item: str, value: bytes) -> None:
        """Have an entry written."""
        self.writer.put(TOPIC, item, value)

    def delete(self, item: str) -> None:
        """Have one removed."""
        self.writer.delete(TOPIC, item)

    async def drained(self) -> None:
        """Wait until all is written."""
        async with asyncio.timeout(5.0):
            await self.writer.drained()

    async def stored(self, name: str = "") -> dict[str, bytes]:
        """Return the items and values that stand under a name, the present one if not given."""
        entries = await self.registry.owned(name or self.membership.name)
        keys = [(Key.parse(entry.key), entry.value) for entry in entries]
        return {key.item: value for key, value in keys if key.topic == TOPIC}

    async def rename(self) -> None:
        """Let the edge be taken for dead."""
        node = self.membership.nodes.get(self.membership.name)
        assert node is not None
        await self.registry.compare_and_set(node.key, None, node.revision)

    def failures(self) -> float | None:
        """Read the metric."""
        return self.metrics.get_sample_value("pogo_websocket_registry_write_failures_total")


@contextlib.asynccontextmanager
async def running_case() -> AsyncIterator[Case]:
    """Let an edge live and its writer run."""
    case = Case()
    case.membership.start()
    tasks = [asyncio.create_task(work()) for work in (case.writer.run, case.writer.run_repairs)]
    try:
        await eventually(lambda: case.membership.is_settled)
        yield case
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await case.membership.leave()
