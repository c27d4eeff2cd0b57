"""Workers take what is queued to the bus: group commit, in order per shard."""

import asyncio
from collections.abc import Sequence

from pogo.broker.metrics import BrokerMetrics, DropReason
from pogo.broker.queues import Queued, Shard, ShardQueues
from pogo.broker.status import Outcome
from pogo.bus import Bus, BusError, BusRefusedError, Message, MessageTooLargeError
from pogo.rpc.v1.status import StatusCode
from pogo.telemetry import get_logger

MAX_WAIT = 0.5
"""Seconds since the call came after which a message is given up. The bus takes 1 s at the most to
confirm, so that no call takes longer than 2 s, the deadline of Pogo's own clients. A claim on a
message_id holds for much longer, and nothing is waited for between this test and the socket: a
broker that stood still does not publish what another may have claimed meanwhile. On cache channels
the records are waited for in between, for half a second, and time is told again after that."""

BATCH_MESSAGES = 512
"""Messages of one batch. A batch costs one round trip to the bus, which is nothing against 512
messages; a longer one would only let its first messages wait for its last."""

BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of one batch (or one message): what a bus takes in well under a second."""

GATHER = 0.002
"""Seconds at the most for which a batch waits for the calls that are coming in."""

QUIET_TURNS = 8
"""Turns of the event loop in which no message comes or goes, after which no call is coming in: gRPC
takes several for one. All of them together take some 30 microseconds."""

_LATE = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the bus is too slow: not sent")
_DIED = Outcome(
    StatusCode.BROKER_PUBLISH_FAILED,
    "the broker failed; the event may have been sent",
    in_doubt=True,
)
_STOPPED = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the broker stopped: not sent")
_UNCONFIRMED = Outcome(
    StatusCode.BROKER_PUBLISH_FAILED, "the broker stopped before it was confirmed", in_doubt=True
)

log = get_logger()


class PublishWorker:
    """Serves some of the shards, alone: that keeps their order."""

    def __init__(
        self,
        shards: Sequence[Shard],
        queues: ShardQueues,
        bus: Bus,
        metrics: BrokerMetrics,
    ) -> None:
        self._shards = list(shards)
        self._ready = shards[0].ready
        self._queues = queues
        self._bus = bus
        self._metrics = metrics
        self._in_flight: list[Queued] = []
        # Whether several callers had something published at the same time, a moment ago.
        self._is_crowded = False

    async def run(self) -> None:
        """Serve for ever. What kills the work fails what is in flight, and the work begins anew."""
        while True:
            try:
                await self._work()
            except Exception:
                # The boundary of this task: whatever it was, callers wait for an answer.
                log.exception("publish worker died and is started again")
                lost, self._in_flight = self._in_flight, []
                self._fail(lost, _DIED, "worker_died")
                # What is still queued may have been announced already.
                self._ready.set()

    def abandon(self) -> None:
        """Answer all that it holds with failure; `run` must have ended."""
        in_flight, self._in_flight = self._in_flight, []
        self._fail(in_flight, _UNCONFIRMED, "shutdown")
        for shard in self._shards:
            queued = list(shard.queue)
            shard.queue.clear()
            self._fail(queued, _STOPPED, "shutdown")

    async def _work(self) -> None:
        while True:
            await self._ready.wait()
            if self._is_crowded:
                await self._gather()
            self._ready.clear()
            if self._take():
                is_shared = self._in_flight[0].call is not self._in_flight[-1].call
                await self._publish()
                # A caller who is alone hands nothing in until its answer is there.
                self._is_crowded = is_shared or self._ready.is_set()

    async def _gather(self) -> None:
        """Let the calls come in that the loop has before it, while it has any.

        They come one by one, and each would be a batch of its own, with a system call and a round
        trip to the bus that take longer than all else. Where the loop is idle, nothing is waited
        for.
        """
        loop, load = asyncio.get_running_loop(), self._queues.load
        until = loop.time() + GATHER
        quiet, messages = 0, load.messages
        while quiet < QUIET_TURNS and loop.time() < until:
            await asyncio.sleep(0)
            quiet = quiet + 1 if load.messages == messages else 0
            messages = load.messages

    def _take(self) -> bool:
        """Take what is queued as the next batch; whether there was anything.

        What waited too long is failed without being published: its caller has given up, or soon
        will, and everything behind it would be late too.
        """
        oldest = asyncio.get_running_loop().time() - MAX_WAIT
        late: list[Queued] = []
        size = 0
        for shard in self._shards:
            queue = shard.queue
            while queue and len(self._in_flight) < BATCH_MESSAGES and size < BATCH_BYTES:
                item = queue.popleft()
                if item.call.since < oldest:
                    late.append(item)
                else:
                    self._in_flight.append(item)
                    size += len(item.message.payload)
        # The next batch begins with another shard, so that a hot one does not starve the rest.
        self._shards.append(self._shards.pop(0))
        if any(shard.queue for shard in self._shards):
            self._ready.set()
        if late:
            self._fail(late, _LATE, "late")
        return bool(self._in_flight)

    async def _publish(self) -> None:
        """Publish what is in flight."""
        await self._commit([item.message for item in self._in_flight])

    async def _commit(self, messages: Sequence[Message]) -> None:
        """Publish these, one for each item in flight, and answer all of them."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        results = await self._bus.publish(messages)
        self._metrics.committed(len(self._in_flight), loop.time() - started)
        answers = [
            (item, _outcome(error, alone=item.alone))
            for item, error in zip(self._in_flight, results, strict=True)
        ]
        self._in_flight = []
        for item, failure in answers:
            self._queues.answer(item, failure)
        failed = sum(failure is not None for _, failure in answers)
        if failed:
            self._metrics.drop("unconfirmed", failed)

    def _fail(self, items: Sequence[Queued], failure: Outcome, reason: DropReason) -> None:
        for item in items:
            self._queues.answer(item, failure)
        self._metrics.drop(reason, len(items))


def _outcome(error: BusError | None, *, alone: bool) -> Outcome | None:
    """Say in the callers' terms what the bus said; `None` where it has the message.

    Of an event's several messages, others may have been published: then there is doubt, which is 6.
    """
    if error is None:
        return None
    if isinstance(error, MessageTooLargeError) and alone:
        return Outcome(StatusCode.PAYLOAD_TOO_LARGE, str(error))
    return Outcome(
        StatusCode.BROKER_PUBLISH_FAILED,
        f"the bus did not confirm: {error}",
        in_doubt=not isinstance(error, BusRefusedError),
    )
