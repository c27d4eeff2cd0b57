"""What becomes of attempts to publish when the store, the broker or the caller cannot wait."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pogo.broker import attempts
from pogo.bus import BusRefusedError
from pogo.bus.memory import MemoryBus
from pogo.records import RecordMismatchError, RecordsError, Write
from pogo.records.memory import MemoryRecords
from tests.broker.flaky import FlakyRecords, repeats, under_way
from tests.broker.helpers import (
    FailingBus,
    HeldBus,
    bearer,
    listen,
    make_settings,
    memory_bus,
    request,
    running_broker,
    token,
    until,
)

UNKNOWN = "its fate is unknown"


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what could not be recorded be tried again soon."""
    monkeypatch.setattr(attempts, "SETTLE_PAUSE", 0.01)


@pytest.mark.parametrize("wait", [0.2, 1.0])
async def test_how_long_a_repeat_waits(wait: float) -> None:
    """For as long as the setting says, and not beyond the caller's own deadline; then it is 6."""
    bus = HeldBus()
    await bus.start()
    async with running_broker(bus, make_settings(message_id_wait=wait)) as broker:
        first = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await bus.arrived.wait()
        started = asyncio.get_running_loop().time()
        second = await broker.stub.Publish(
            request(message_id="m"), metadata=bearer(token()), timeout=0.6
        )
        lasted = asyncio.get_running_loop().time() - started

        assert 6 == second.status
        assert UNKNOWN in second.detail
        assert min(wait, 0.4) <= lasted < 0.6
        assert 1 == repeats(broker, "unknown")

        bus.released.set()
        assert 0 == (await first).status
    await bus.close()


async def test_records_that_are_away(bus: MemoryBus) -> None:
    """What cannot be recorded is not published, and said so at once; the rest goes on."""
    records = FlakyRecords()
    heard = listen(bus, "news")
    async with running_broker(bus, records=records) as broker:
        records.connected = False
        alone = await broker.publish(request(message_id="m"))
        batch = await broker.batch([request(message_id="m"), request()])
        records.connected = True
        again = await broker.publish(request(message_id="m"))

    assert [6, [6, 0], 0] == [alone.status, [reply.status for reply in batch], again.status]
    assert "not sent" in alone.detail
    assert 2 == len(heard)
    assert 0 == repeats(broker, "answered")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("happens", [True, False])
async def test_a_claim_that_is_not_confirmed(bus: MemoryBus, *, happens: bool) -> None:
    """It is 6 and nothing is published; a claim that was written all the same is taken back."""
    records = FlakyRecords()
    heard = listen(bus, "news")
    async with running_broker(bus, records=records) as broker:
        records.write_fails = not happens
        records.answers = False
        refused = await broker.publish(request(message_id="m"))
        records.write_fails = False
        records.answers = True
        await until(lambda: under_way(broker) == 0)
        again = await broker.publish(request(message_id="m"))

        assert [6, 0] == [refused.status, again.status]
        assert 1 == len(heard)
        assert 1 == broker.metrics.get_sample_value(
            "pogo_websocket_publish_record_failures_total", {"record": "claim"}
        )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("forgets", [True, False])
async def test_an_answer_that_is_recorded_late(bus: MemoryBus, *, forgets: bool) -> None:
    """The caller does not wait for it, and it is tried until the store has it, or is a new one."""
    records = FlakyRecords()
    heard = listen(bus, "news")

    class Interrupted(FlakyRecords):
        async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
            results = await super().write(writes)
            # From now on it is away.
            self.write_fails = not self.write_fails and len(self.writes) == 1
            return results

    records = Interrupted()
    async with running_broker(bus, records=records) as broker:
        first = await broker.publish(request(message_id="m"))
        await until(lambda: len(records.writes) == 2)
        at_this_broker = await broker.publish(request(message_id="m"))
        if forgets:
            await records.close()
        records.write_fails = False
        await until(lambda: under_way(broker) == 0)
    async with running_broker(bus, records=records) as other:
        elsewhere = await other.publish(request(message_id="m"))

    assert [0, 0, 0] == [first.status, at_this_broker.status, elsewhere.status]
    assert 1 == len(heard)


@pytest.mark.usefixtures("quick")
async def test_an_answer_that_is_never_recorded(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up in the end, counted and logged."""
    monkeypatch.setattr(attempts, "SETTLE_WITHIN", 0.1)

    class ReadOnly(FlakyRecords):
        async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
            if any(write.revision for write in writes):
                return [RecordsError("full")] * len(writes)
            return await super().write(writes)

    async with running_broker(bus, records=ReadOnly()) as broker:
        with capture_logs() as logs:
            reply = await broker.publish(request(message_id="m"))
            await until(lambda: under_way(broker) == 0)

        assert 0 == reply.status
        assert ["message ids are left as pending"] == [entry["event"] for entry in logs]
        assert 1 == broker.metrics.get_sample_value(
            "pogo_websocket_publish_record_failures_total", {"record": "settle"}
        )


async def test_too_many_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a call is 8 at once."""
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 1)
    held = HeldBus()
    await held.start()
    async with running_broker(held) as broker:
        first = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await held.arrived.wait()
        refused = await broker.publish(request(message_id="n"))
        held.released.set()

        assert [8, 0] == [refused.status, (await first).status]
    await held.close()


async def test_too_many_message_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has many of them, so that they have a bound of their own."""
    monkeypatch.setattr(attempts, "MAX_MESSAGE_IDS", 2)
    held = HeldBus()
    await held.start()
    async with running_broker(held) as broker:
        batch = [request(message_id="m"), request(message_id="n")]
        first = asyncio.ensure_future(broker.batch(batch))
        await held.arrived.wait()
        refused = await broker.publish(request(message_id="o"))
        held.released.set()

        assert [0, 0] == [reply.status for reply in await first]
        assert 8 == refused.status
    await held.close()


class _BehindRecords(FlakyRecords):
    """Records that are read where they were a while ago: what is found cannot be removed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_behind = True
        self.refused = 0

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Write, but remove nothing while behind."""
        if not self.is_behind or any(write.value is not None for write in writes):
            return await super().write(writes)
        self.refused += 1
        return [RecordMismatchError("it has moved on")] * len(writes)


async def test_records_that_are_read_behind() -> None:
    """A caller does not wait until they have caught up, and the store is asked with pauses."""
    bus = FailingBus(BusRefusedError("no permission"))
    await bus.start()
    records = _BehindRecords()
    async with running_broker(bus, records=records) as broker:
        reply = await broker.publish(request(message_id="m"))
        await until(lambda: records.refused > 2)

        assert 6 == reply.status
        assert records.refused < 10

        records.is_behind = False
        await until(lambda: under_way(broker) == 0)

        assert 0 == records.count
    await bus.close()


async def test_a_record_that_nobody_can_read(bus: MemoryBus) -> None:
    """What a newer broker may have written is doubt, and not published again."""
    records = MemoryRecords()
    heard = listen(bus, "news")
    await records.write([Write("shop.m", b"?", 60, 0)])
    async with running_broker(bus, records=records) as broker:
        reply = await broker.publish(request(message_id="m"))

    assert 6 == reply.status
    assert [] == heard


async def test_a_stop_records_what_it_answers() -> None:
    """What is under way while the broker stops is published, answered and recorded."""
    bus = HeldBus()
    await bus.start()
    heard = listen(bus, "news")
    records = MemoryRecords()
    async with running_broker(bus, records=records) as broker:
        call = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await bus.arrived.wait()
        stopping = asyncio.create_task(broker.server.stop())
        bus.released.set()
        await stopping

        assert 0 == (await call).status
    async with running_broker(bus, records=records) as other:
        repeat = await other.publish(request(message_id="m"))

    assert 0 == repeat.status
    assert 1 == len(heard)
    await bus.close()


async def test_a_stop_that_does_not_wait() -> None:
    """What the bus does not confirm in time stays in doubt, as the record says."""
    bus = HeldBus()
    await bus.start()
    records = MemoryRecords()
    async with running_broker(bus, make_settings(shutdown_timeout=0.1), records=records) as broker:
        call = asyncio.ensure_future(broker.publish(request(message_id="m")))
        await bus.arrived.wait()
        await broker.server.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert 0 == under_way(broker)
    async with running_broker(bus, records=records) as other:
        repeat = await other.publish(request(message_id="m"))

    assert 6 == repeat.status
    await bus.close()
