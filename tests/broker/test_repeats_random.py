"""Two brokers, one store and one bus that fail at random: nothing comes twice, and 0 is true."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from pogo.broker import attempts
from pogo.broker.apps import AppDirectory
from pogo.broker.attempts import Attempts
from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.repeats import Repeats
from pogo.broker.status import Outcome
from pogo.bus import BusError, BusRefusedError, BusUnavailableError, Message
from pogo.bus.memory import MemoryBus
from pogo.records import Record, RecordsError, RecordsUnavailableError, Write
from pogo.records.memory import MemoryRecords
from pogo.rpc.v1.status import StatusCode
from tests.broker.helpers import APP, FixedEdges, listen, make_settings

CALLS = 60
IDS = 6
FAULTS = 0.15


class _Chance:
    """Decides what goes wrong, and how long things take."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (not for cryptography)
        self.faults = FAULTS

    def strikes(self) -> bool:
        """Whether something goes wrong now."""
        return self.random.random() < self.faults

    async def passes(self) -> None:
        """Let others go first, some of them or none."""
        for _ in range(self.random.choice((0, 0, 1, 2, 5, 20))):
            await asyncio.sleep(0)


class _Store(MemoryRecords):
    """Fails before or after it has written, and takes its time for both ways."""

    def __init__(self, chance: _Chance) -> None:
        super().__init__()
        self._chance = chance

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        away = [RecordsUnavailableError("no answer")] * len(writes)
        await self._chance.passes()
        if self._chance.strikes():
            return list(away)
        results = await super().write(writes)
        await self._chance.passes()
        return list(away) if self._chance.strikes() else results

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        await self._chance.passes()
        if self._chance.strikes():
            raise RecordsUnavailableError("no answer")
        records = await super().get(keys)
        await self._chance.passes()
        return records


class _Bus(MemoryBus):
    """Refuses messages, or publishes some and does not confirm them."""

    def __init__(self, chance: _Chance) -> None:
        super().__init__()
        self._chance = chance

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        await self._chance.passes()
        return [await self._publish(message) for message in messages]

    async def _publish(self, message: Message) -> BusError | None:
        if self._chance.strikes():
            return BusRefusedError("no permission")
        if self._chance.strikes():
            if self._chance.strikes():
                await super().publish([message])
            return BusUnavailableError("not confirmed")
        return (await super().publish([message]))[0]


class _Broker:
    """What a broker has for message ids, without gRPC."""

    def __init__(self, bus: MemoryBus, store: MemoryRecords) -> None:
        metrics = BrokerMetrics(CollectorRegistry())
        self.publisher = Publisher(
            make_settings(),
            apps=AppDirectory([APP]),
            bus=bus,
            live_edges=FixedEdges(alive=True),
            metrics=metrics,
        )
        self.attempts = Attempts(store, self.publisher, metrics)
        self.repeats = Repeats(self.attempts, metrics, wait=0.05)


def _call(chance: _Chance, broker: _Broker) -> tuple[list[str], asyncio.Task[list[Outcome]]]:
    """Publish one event, some, or a named batch of two; returns the ids of the events."""
    names = [f"m{chance.random.randrange(IDS)}" for _ in range(chance.random.choice((1, 1, 3)))]
    batch = f"batch-{chance.random.randrange(IDS)}" if chance.random.random() < 0.3 else ""
    if batch:
        names = [f"{batch}-a", f"{batch}-b"]
    events = [Event(APP.id, ("news",), "headline", "{}", "", name) for name in names]
    call = broker.repeats.publish(APP.id, events, json_data=True, message_id=batch)
    return names, asyncio.create_task(call)


async def _make_calls(chance: _Chance, brokers: Sequence[_Broker]) -> dict[str, set[StatusCode]]:
    """Make calls, some of whose callers hang up; returns what was told of each id."""
    calls = []
    for _ in range(CALLS):
        calls.append(_call(chance, chance.random.choice(brokers)))
        await chance.passes()
        if chance.strikes():
            chance.random.choice(calls)[1].cancel()
    told: dict[str, set[StatusCode]] = {}
    for names, call in calls:
        await asyncio.wait([call])
        if not call.cancelled():
            for name, outcome in zip(names, call.result(), strict=True):
                told.setdefault(name, set()).add(outcome.status)
    for broker in brokers:
        await broker.attempts.drain(5)
    return told


@pytest.mark.parametrize("seed", range(100))
async def test_at_most_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, an id is delivered once at the most, and once where anyone was told 0.

    In the end, when nothing fails any more, every event that is not in doubt is published.
    """
    monkeypatch.setattr(attempts, "SETTLE_PAUSE", 0.001)
    monkeypatch.setattr(attempts, "MAX_SETTLE_PAUSE", 0.001)
    chance = _Chance(seed)
    bus, store = _Bus(chance), _Store(chance)
    await bus.start()
    heard = listen(bus, "news")
    brokers = [_Broker(bus, store) for _ in range(2)]
    for broker in brokers:
        broker.publisher.start()
    told = await _make_calls(chance, brokers)
    chance.faults = 0
    for name in told:
        if not name.startswith("batch"):
            event = Event(APP.id, ("news",), "headline", "{}", "", name)
            [last] = await brokers[0].repeats.publish(APP.id, [event], json_data=True)
            assert last.in_doubt or not last.status
    for broker in brokers:
        await broker.publisher.stop()
        await broker.attempts.stop(5)
    delivered = Counter(delivery.id for delivery in heard)

    assert {1} == set(delivered.values())
    assert all(delivered[name] == 1 for name, statuses in told.items() if 0 in statuses)
    await bus.close()
