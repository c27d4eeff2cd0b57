"""What was answered 0 is true: nats-server has the event, whenever it is killed."""

import asyncio
import itertools
import os
import random
import re
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from pogo.bus.nats import NatsBus
from pogo.rpc.v1.broker_pb2 import STATUS_SUCCESS, PublishReply, Status
from pogo.rpc.v1.delivery_pb2 import Delivery
from tests.broker.helpers import RunningBroker, request, running_broker
from tests.chaos.raw_nats import RawSubscriber
from tests.servers import NatsServer

KILLS = 200
CALLERS = 8
BATCH = 10
LONGEST_LIFE = 1.0
"""Seconds from a server's start to its death, at the most: long enough to be reconnected to."""

_T = TypeVar("_T")
_ID = re.compile(rb"event-\d+")


@dataclass
class Evidence:
    """What callers were told, and what independent witnesses saw."""

    statuses: dict[str, int] = field(default_factory=dict)
    longest_call: float = 0.0
    # By the subscriber, and by the server's own protocol trace.
    delivered: set[str] = field(default_factory=set)
    traced: set[str] = field(default_factory=set)

    def take_delivery(self, payload: bytes) -> None:
        """Take what the subscriber got."""
        self.delivered.add(Delivery.FromString(payload).id)

    def take_trace(self, log: Path) -> None:
        """Take what the server wrote before it died, and make room for the next one."""
        self.traced.update(found.decode() for found in _ID.findall(log.read_bytes()))
        log.unlink()

    @property
    def confirmed(self) -> set[str]:
        """The events that were answered 0."""
        return {name for name, status in self.statuses.items() if status == STATUS_SUCCESS}

    def report(self) -> str:
        """Put the figures in one line."""
        counts = Counter(Status.Name(status) for status in self.statuses.values())  # type: ignore[arg-type]  # an enum's value
        missed = self.confirmed - self.delivered
        unconfirmed = self.statuses.keys() - self.confirmed
        return (
            f"{len(self.statuses)} events: {dict(counts)}; longest call {self.longest_call:.3f} s; "
            f"answered 0 and not delivered {len(missed)}, "
            f"of these not in the server's trace {len(missed - self.traced)}; "
            f"not answered 0 and delivered {len(unconfirmed & self.delivered)}"
        )


class Callers:
    """Tasks that publish by gRPC, one event or a batch at a time, until they are stopped."""

    def __init__(self, broker: RunningBroker, evidence: Evidence, rng: random.Random) -> None:
        self._broker = broker
        self._evidence = evidence
        self._rng = rng
        self._names = (f"event-{number}" for number in itertools.count())
        self._stopping = False

    async def run(self) -> None:
        """Publish with all callers."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call_on(number))

    def stop(self) -> None:
        """Let each caller finish its call."""
        self._stopping = True

    async def _call_on(self, number: int) -> None:
        size = BATCH if number % 4 == 0 else 1
        while not self._stopping:
            names = list(itertools.islice(self._names, size))
            items = [request(f"room-{number}", message_id=name) for name in names]
            if size == 1:
                replies = [await self._timed(self._broker.publish(items[0]))]
            else:
                replies = await self._timed(self._broker.batch(items))
            self._record(names, replies)
            await asyncio.sleep(self._rng.uniform(0.0, 0.01))

    async def _timed(self, call: Awaitable[_T]) -> _T:
        loop = asyncio.get_running_loop()
        started = loop.time()
        reply = await call
        self._evidence.longest_call = max(self._evidence.longest_call, loop.time() - started)
        return reply

    def _record(self, names: Sequence[str], replies: Sequence[PublishReply]) -> None:
        for name, reply in zip(names, replies, strict=True):
            self._evidence.statuses[name] = reply.status


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_confirmed_events_survive_kills(tmp_path: Path) -> None:
    """nats-server is killed 200 times: no event that was answered 0 is missing, no call hangs.

    A server that dies between its PONG and its write to the subscriber has taken the event and
    never delivers it. So its own trace, which it writes before the PONG, is evidence too.
    """
    seed = int(os.environ.get("POGO_CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"\nPOGO_CHAOS_SEED={seed}")  # noqa: T201 (to run it again)
    rng = random.Random(seed)  # noqa: S311 (repeatable)
    evidence = Evidence()
    server = NatsServer(tmp_path, args=["-V"])
    bus = NatsBus([f"nats://127.0.0.1:{server.reserve_port()}"])
    await server.start()
    with RawSubscriber(server.port, "pogo.v1.>", evidence.take_delivery):
        await bus.start()
        async with running_broker(bus) as broker:
            callers = Callers(broker, evidence, rng)
            calling = asyncio.create_task(callers.run())
            for _ in range(KILLS):
                await asyncio.sleep(rng.uniform(0.0, LONGEST_LIFE))
                server.kill()
                evidence.take_trace(server.log)
                await server.start()
            callers.stop()
            await calling
        await bus.close()
    await server.stop()
    evidence.take_trace(server.log)

    print(evidence.report())  # noqa: T201 (the figures are what the run is for)
    assert evidence.longest_call < 2.0
    assert set() == evidence.confirmed - evidence.delivered - evidence.traced
    assert len(evidence.confirmed) > 100 * KILLS
    # A subscriber that had missed more would be no witness.
    assert len(evidence.delivered) > 0.99 * len(evidence.confirmed)
