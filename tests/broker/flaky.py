"""Records that fail, and what a broker's metrics say of message ids."""

from collections.abc import Awaitable, Sequence

import grpc
import pytest

from pogo.records import Record, RecordsError, RecordsUnavailableError, Write
from pogo.records.memory import MemoryRecords
from tests.broker.helpers import RunningBroker


class FlakyRecords(MemoryRecords):
    """Records in memory that can be away, and can hold back what they have done."""

    def __init__(self) -> None:
        super().__init__()
        self.connected = True
        # What happens to writes: done or not, and then what their writer is told.
        self.write_fails = False
        self.answers = True
        self.writes: list[Write] = []

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write, unless away."""
        self.writes += writes
        if self.write_fails:
            return [RecordsUnavailableError("away")] * len(writes)
        results = await super().write(writes)
        return results if self.answers else [RecordsUnavailableError("away")] * len(writes)

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read, unless away."""
        if self.write_fails:
            raise RecordsUnavailableError("away")
        return await super().get(keys)


def repeats(broker: RunningBroker, outcome: str) -> float | None:
    """Return how many repeats had this outcome."""
    name = "pogo_websocket_publish_repeats_total"
    return broker.metrics.get_sample_value(name, {"outcome": outcome})


def under_way(broker: RunningBroker) -> float | None:
    """Return how many attempts are not over."""
    return broker.metrics.get_sample_value("pogo_websocket_publish_attempts")


def published(broker: RunningBroker) -> float | None:
    """Return how many events were answered."""
    return broker.metrics.get_sample_value("pogo_websocket_publish_total")


async def code_of_error(call: Awaitable[object]) -> grpc.StatusCode:
    """Await a call that ends with an error of gRPC."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


def queued(broker: RunningBroker) -> float | None:
    """Return how many messages wait for the bus, or its confirmation."""
    return broker.metrics.get_sample_value("pogo_websocket_broker_queue_messages")
