"""Buses on real servers, and what tests wait for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from pogo.bus import Bus, Message, channel_subject
from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.bus.redis import RedisBus, RedisOptions
from tests.servers import HOST, NatsServer, RedisServer

SUBJECT = channel_subject("app", "room")

_Bus = TypeVar("_Bus", bound=Bus)


def messages(*payloads: bytes, subject: str = SUBJECT) -> list[Message]:
    """Make one message of each payload."""
    return [Message(subject, payload) for payload in payloads]


def numbers(count: int) -> list[bytes]:
    """Return as many payloads, all different."""
    return [b"%d" % number for number in range(count)]


class Inbox:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._arrived = asyncio.Event()

    def __call__(self, payload: bytes) -> None:
        """Take one payload."""
        self.payloads.append(payload)
        self._arrived.set()

    async def until(self, payload: bytes, within: float = 5.0) -> list[bytes]:
        """Wait until a payload has arrived, and return all that came up to now."""
        async with asyncio.timeout(within):
            while payload not in self.payloads:
                self._arrived.clear()
                await self._arrived.wait()
        return self.payloads


class Status:
    """A status listener that can be waited for."""

    def __init__(self, bus: Bus) -> None:
        self.changes: list[tuple[bool, str]] = []
        self._connected = bus.connected
        self._changed = asyncio.Event()
        bus.add_status_listener(self._take)

    async def until(self, within: float, *, connected: bool) -> None:
        """Wait until the bus has told that it is connected, or that it is not."""
        async with asyncio.timeout(within):
            while self._connected != connected:
                self._changed.clear()
                await self._changed.wait()

    def _take(self, connected: bool, reason: str) -> None:  # noqa: FBT001 (a StatusListener)
        self.changes.append((connected, reason))
        self._connected = connected
        self._changed.set()


class Impostor:
    """Something that listens on a port and is no real server.

    It says one thing to each visitor, and the next whenever it has heard something; then it hangs
    up, or stays silent if it had nothing to say at all.
    """

    def __init__(self, says: Sequence[bytes]) -> None:
        self.port = 0
        self._says = says
        self._visits = 0
        self._visited = asyncio.Event()

    async def until_visited(self, times: int, within: float = 5.0) -> None:
        """Wait for that many visitors."""
        async with asyncio.timeout(within):
            while self._visits < times:
                self._visited.clear()
                await self._visited.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visits += 1
        self._visited.set()
        with contextlib.closing(writer):
            if not self._says:
                await reader.read()
            for words in self._says:
                writer.write(words)
                await reader.read(4096)


@dataclass(slots=True)
class Remote:
    """A server, and the buses that tests open on it."""

    server: NatsServer | RedisServer
    make: Callable[[], Bus]
    buses: list[Bus] = field(default_factory=list)

    async def bus(self) -> Bus:
        """Start one more bus."""
        bus = self.make()
        self.buses.append(bus)
        await bus.start()
        return bus


@contextlib.asynccontextmanager
async def closing(remote: Remote) -> AsyncIterator[Remote]:
    """Close the buses in the end, and then stop the server."""
    try:
        yield remote
    finally:
        for bus in remote.buses:
            await bus.close()
        await remote.server.stop()


def nats_remote(directory: Path) -> Remote:
    """Make an adapter's server and buses: NATS."""
    server = NatsServer(directory)
    return Remote(server, lambda: NatsBus([server.url]))


def redis_remote(directory: Path) -> Remote:
    """Make an adapter's server and buses: Redis."""
    server = RedisServer(directory)
    return Remote(server, lambda: RedisBus(RedisOptions(port=server.port)))


@contextlib.asynccontextmanager
async def remote_pair(remote: Remote) -> AsyncIterator[tuple[Bus, Bus]]:
    """Open two buses on one server."""
    async with closing(remote):
        await remote.server.start()
        yield await remote.bus(), await remote.bus()


@contextlib.asynccontextmanager
async def memory_pair(directory: Path) -> AsyncIterator[tuple[Bus, Bus]]:
    """Open the one bus that a process has in memory."""
    del directory
    async with opened(MemoryBus()) as bus:
        yield bus, bus


@contextlib.asynccontextmanager
async def opened(bus: _Bus) -> AsyncIterator[_Bus]:
    """Start a bus, and close it in the end."""
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


async def elapsed(work: Awaitable[object]) -> float:
    """Return how many seconds something takes."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await work
    return loop.time() - started


async def subscribe(bus: Bus, *subjects: str) -> Inbox:
    """Subscribe an inbox to subjects, and wait until the server knows."""
    inbox = Inbox()
    for subject in subjects or (SUBJECT,):
        bus.subscribe(subject, inbox)
    await bus.flush()
    return inbox


def all_confirmed(outcomes: Sequence[object]) -> bool:
    """Tell whether the server has every message."""
    return all(outcome is None for outcome in outcomes)
