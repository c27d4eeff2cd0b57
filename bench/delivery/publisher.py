"""Whoever publishes: a process of its own, as a back end is.

Started as a program, it does one job after the other, each a line of JSON on its standard input.
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence

import msgspec

from bench.cluster import BenchError
from bench.piped import Piped
from pogo.client import AsyncClient, Event, PublishError
from pogo.pusher.frames import encode_event

EVENT = "event"
_FILL = "1"
_SEED = 1


class Job(msgspec.Struct, frozen=True):
    """Events to publish, in batches."""

    channel: str
    """A `*` in it is the number of the event, modulo `channels`."""
    size: int
    """Bytes of the whole message that a client gets."""
    calls: int
    batch: int = 1
    rate: float = 0
    """Calls a second; 0 is as fast as they are answered."""
    window: int = 1
    """Calls that may be under way, where there is no rate."""
    at_random: bool = False
    """Whether the gaps between calls are exponential, as those of independent senders are."""
    channels: int = 1


class Published(msgspec.Struct, frozen=True):
    """What became of a job: seconds, and the share of a core that it took."""

    events: int = 0
    seconds: float = 0
    share: float = 0
    failed: str = ""


class Publisher(Piped):
    """The process, as whoever measures sees it."""

    def __init__(self, broker: str, app: str, secret: str) -> None:
        super().__init__("the publisher")
        self._arguments = (broker, app, secret)

    def command(self) -> Sequence[str]:
        """Return what is run."""
        return sys.executable, "-m", "bench.delivery.publisher", *self._arguments

    async def publish(self, job: Job) -> Published:
        """Publish, and wait until the broker has confirmed all.

        Raises:
            BenchError: It has not.
        """
        await self.tell(msgspec.json.encode(job))
        published = msgspec.json.decode(await self.answer(within=None), type=Published)
        if published.failed:
            raise BenchError(f"the publisher: {published.failed}")
        return published


class _Worker:
    """Does one job."""

    def __init__(self, client: AsyncClient, job: Job) -> None:
        self._client = client
        self._job = job
        overhead = len(encode_event(EVENT, job.channel, ""))
        self._data_size = job.size - overhead
        self._events = 0
        self._random = random.Random(_SEED)  # noqa: S311 - gaps, not secrets

    async def run(self) -> Published:
        """Publish all of it."""
        began, cpu = time.perf_counter(), time.process_time()
        await (self._paced() if self._job.rate else self._fast())
        seconds = time.perf_counter() - began
        return Published(self._events, seconds, (time.process_time() - cpu) / seconds)

    async def _paced(self) -> None:
        """Call when the time has come, whether or not earlier calls were answered."""
        due = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for _ in range(self._job.calls):
                await asyncio.sleep(due - time.perf_counter())
                calls.create_task(self._call())
                gap = 1 / self._job.rate
                due += self._random.expovariate(1 / gap) if self._job.at_random else gap

    async def _fast(self) -> None:
        remaining = iter(range(self._job.calls))

        async def caller() -> None:
            for _ in remaining:
                await self._call()

        await asyncio.gather(*(caller() for _ in range(self._job.window)))

    async def _call(self) -> None:
        await self._client.publish_batch([self._next() for _ in range(self._job.batch)])

    def _next(self) -> Event:
        """Write an event whose data begins with its number and the time: a JSON array."""
        number = self._events
        self._events += 1
        channel = self._job.channel.replace("*", str(number % self._job.channels))
        head = f"[{number},{time.monotonic_ns()},"
        return Event(channel, EVENT, head + _FILL * (self._data_size - len(head) - 1) + "]")


def main() -> None:
    """Do the jobs that come, until there are no more."""
    broker, app, secret = sys.argv[1:]
    with asyncio.Runner() as runner:
        client = AsyncClient(broker, app_id=app, secret=secret)
        for line in sys.stdin.buffer:
            job = msgspec.json.decode(line, type=Job)
            try:
                reply = runner.run(_Worker(client, job).run())
            except* PublishError as errors:
                reply = Published(failed=str(errors.exceptions[0]))
            sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
            sys.stdout.buffer.flush()
        runner.run(client.close())


if __name__ == "__main__":
    main()
