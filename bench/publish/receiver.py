"""A process that has a bus and nothing else: what it costs to be subscribed, and to receive.

Started as a program, it does jobs: see `bench.publish.child`.
"""

import asyncio
import os
import time

import msgspec
from tests.servers import HOST

from bench.cluster import BenchError
from bench.cpu import resident_bytes
from bench.publish.child import Child, do_jobs
from pogo.bus import Bus, BusError, Subscription, channel_subject
from pogo.bus.nats import NatsBus
from pogo.bus.redis import RedisBus, RedisOptions
from pogo.bus.redis_link import command

_APP = "bench"
_PAYLOAD = 250
"""Bytes: an event of 200, as it travels."""

_RECEIVE_TIMEOUT = 30.0


class Job(msgspec.Struct, frozen=True):
    """What to do next."""

    what: str
    """`connect`, `subscribe`, `churn`, or `receive`."""
    bus: str = ""
    """What to connect to, `nats` or `redis`, at the `port`."""
    port: int = 0
    count: int = 0
    """Subscriptions to make, or to end and make again; messages to wait for."""
    batch: int = 1
    """Subscriptions that the server confirms together."""


class Spent(msgspec.Struct, frozen=True):
    """What a job cost."""

    cpu: float = 0
    """Seconds of processor time."""
    seconds: float = 0
    bytes: int = 0
    """Memory that was not there before."""


def receiver() -> Child[Job, Spent]:
    """Make the process."""
    return Child("bench.publish.receiver", Spent)


def messages(bus: str, count: int, subscriptions: int) -> bytes:
    """Write so many messages to the first subscriptions, in turn, as a bus server takes them."""
    payload = b"x" * _PAYLOAD
    subjects = [subject(number).encode() for number in range(subscriptions)]
    if bus == "nats":
        commands = [b"PUB %b %d\r\n%b\r\n" % (name, _PAYLOAD, payload) for name in subjects]
    else:
        commands = [command(b"PUBLISH", name, payload) for name in subjects]
    return b"".join([commands[number % subscriptions] for number in range(count)])


def subject(number: int) -> str:
    """Name the subject of a subscription."""
    return channel_subject(_APP, f"private-App.Models.User.{number}")


class _Receiver:
    def __init__(self) -> None:
        self._bus: Bus | None = None
        self._subjects: list[str] = []
        self._subscriptions: list[Subscription] = []
        # Messages that have not come yet of those that are waited for; they may come early.
        self._missing = 0
        self._all_there = asyncio.Event()

    async def do(self, job: Job) -> Spent:
        """Do one job, and tell what it cost."""
        if job.what == "subscribe":
            # What channels are called is up to whoever subscribes.
            self._subjects = [subject(number) for number in range(job.count)]
        before = resident_bytes(os.getpid())
        began, cpu = time.perf_counter(), time.process_time()
        try:
            match job.what:
                case "connect":
                    await self._connect(job.bus, job.port)
                case "subscribe":
                    await self._subscribe(job.count, job.batch)
                case "churn":
                    await self._churn(job.count, job.batch)
                case _:
                    await self._receive(job.count)
        except BusError as error:
            raise BenchError(str(error)) from error
        spent, seconds = time.process_time() - cpu, time.perf_counter() - began
        return Spent(spent, seconds, resident_bytes(os.getpid()) - before)

    async def stop(self) -> None:
        """Disconnect."""
        if self._bus is not None:
            await self._bus.close()

    async def _connect(self, kind: str, port: int) -> None:
        if kind == "nats":
            self._bus = NatsBus([f"nats://{HOST}:{port}"])
        else:
            self._bus = RedisBus(RedisOptions(host=HOST, port=port))
        await self._bus.start()

    async def _subscribe(self, count: int, batch: int) -> None:
        bus = self._connected
        for start in range(0, count, batch):
            for name in self._subjects[start : start + batch]:
                self._subscriptions.append(bus.subscribe(name, self._take))
            await bus.flush()

    async def _churn(self, count: int, batch: int) -> None:
        """End subscriptions and make them again, the oldest first."""
        bus = self._connected
        for start in range(0, count, batch):
            for number in range(start, start + batch):
                index = number % len(self._subscriptions)
                old = self._subscriptions[index]
                bus.unsubscribe(old)
                self._subscriptions[index] = bus.subscribe(old.subject, self._take)
            await bus.flush()

    async def _receive(self, count: int) -> None:
        """Wait for so many messages, some of which may have come before."""
        self._missing += count
        if self._missing > 0:
            self._all_there.clear()
            try:
                async with asyncio.timeout(_RECEIVE_TIMEOUT):
                    await self._all_there.wait()
            except TimeoutError:
                raise BenchError(f"{self._missing} messages did not arrive") from None

    def _take(self, payload: bytes) -> None:
        del payload
        self._missing -= 1
        if not self._missing:
            self._all_there.set()

    @property
    def _connected(self) -> Bus:
        assert self._bus is not None
        return self._bus


if __name__ == "__main__":
    one = _Receiver()
    do_jobs(Job, one.do, one.stop)
