"""One process of a measurement: `python -m bench.node ROLE URL NAME LIMIT`.

It reads requests from standard input, answers each on standard output, and ends with the input.
"""

import asyncio
import gc
import itertools
import logging
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import msgspec
import structlog
import uvloop

from bench.generator import Generator, Publisher, Sinks
from bench.headless import APP, Guest, HeadlessEdge, member_of
from bench.messages import (
    Churn,
    Follow,
    Join,
    Leave,
    Own,
    Ready,
    Reply,
    Request,
    Seat,
    Sink,
    Stats,
    Write,
)
from pogo.pusher.members import encode_member
from pogo.registry.keys import presence_topic

_POLL = 0.01
_DECODE = msgspec.json.Decoder(Request)
_MAX_LINE = 64 * 1024 * 1024
_WAIT = 60.0
"""Seconds after which a step has failed."""


class Edge:
    """Does what is asked of an edge."""

    def __init__(self, url: str, name: str, limit: int) -> None:
        self._edge = HeadlessEdge(url, name, limit)
        self._numbers = itertools.count()
        self._name = name

    async def start(self) -> None:
        """Become a node."""
        await self._edge.start()

    async def stop(self) -> None:
        """Leave."""
        await self._edge.stop()

    async def ready(self, request: Ready) -> Reply:
        """Wait for the others."""
        edge = self._edge
        async with asyncio.timeout(_WAIT):
            while not (edge.is_settled and edge.edges == request.edges):  # noqa: ASYNC110
                await asyncio.sleep(_POLL)
        return Reply()

    async def join(self, request: Join) -> Reply:
        """Have some join."""
        began = time.perf_counter()
        guests = []
        for number, seat in enumerate(request.seats):
            if request.rate:
                await _until(began + number / request.rate)
            guests.append(self._edge.join(seat))
        latencies = await _admitted(guests)
        await self._edge.followed()
        seconds = time.perf_counter() - began
        return Reply(joins=len(guests), latencies=latencies, seconds=seconds)

    async def leave(self, request: Leave) -> Reply:
        """Have some leave."""
        began = time.perf_counter()
        for socket_id in request.socket_ids:
            self._edge.leave(socket_id)
        await self._edge.writer.drained()
        seconds = time.perf_counter() - began
        return Reply(leaves=len(request.socket_ids), seconds=seconds)

    async def churn(self, request: Churn) -> Reply:
        """Replace one guest after the other, those who came first."""
        began = time.perf_counter()
        guests = []
        for number in range(int(request.rate * request.seconds)):
            await _until(began + number / request.rate)
            gone = self._edge.leave(next(iter(self._edge.guests)))
            fresh = f"{self._name}.churn.{next(self._numbers)}"
            guests.append(self._edge.join(Seat(fresh, gone.channel, fresh)))
        latencies = await _admitted([guest for guest in guests if not guest.gone])
        await self._edge.writer.drained()
        seconds = time.perf_counter() - began
        count = len(guests)
        return Reply(joins=count, leaves=count, latencies=latencies, seconds=seconds)

    async def follow(self, request: Follow) -> Reply:
        """Trace what rosters cost."""
        # What is made once is made before.
        self._edge.open("warm-up")
        await self._edge.followed()
        before = _trace()
        began = time.perf_counter()
        for channel in request.channels:
            self._edge.open(channel)
        await self._edge.followed()
        seconds = time.perf_counter() - began
        return Reply(entries=sum(self._users().values()), traced=_traced(before), seconds=seconds)

    async def own(self, request: Own) -> Reply:
        """Trace what the writer keeps of the entries that it wrote."""
        before = _trace()
        topic = presence_topic(APP, "presence-not-watched")
        for number in range(request.count):
            user_id = f"own-{number}"
            self._edge.writer.put(topic, user_id, encode_member(member_of(user_id)))
        await self._edge.writer.drained()
        return Reply(entries=request.count, traced=_traced(before))

    async def stats(self, _request: Stats) -> Reply:
        """Tell the counters."""
        counters = self._edge.counters
        return Reply(
            beats_heard=counters.beats,
            changes_heard=counters.changes,
            announced=counters.announced,
            nodes=self._edge.edges,
            users=self._users(),
        )

    def _users(self) -> dict[str, int]:
        return {name: presence.users for name, (_, presence) in self._edge.rooms.items()}


async def _until(moment: float) -> None:
    wait = moment - time.perf_counter()
    if wait > 0:
        await asyncio.sleep(wait)


async def _admitted(guests: list[Guest]) -> list[float]:
    async with asyncio.timeout(_WAIT):
        for guest in guests:
            await guest.admitted.wait()
    return [guest.latency for guest in guests]


def _trace() -> int:
    tracemalloc.start()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _traced(before: int) -> int:
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held


Role = Edge | Generator | Publisher | Sinks
_NAMES: dict[type, str] = {
    Ready: "ready",
    Join: "join",
    Leave: "leave",
    Churn: "churn",
    Follow: "follow",
    Own: "own",
    Write: "write",
    Sink: "sink",
    Stats: "stats",
}


async def _serve(role: Role) -> None:
    """Answer until the input ends."""
    reader = asyncio.StreamReader(_MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await role.start()
    try:
        while line := await reader.readline():
            request = _DECODE.decode(line)
            answer: Callable[[Request], Awaitable[Reply]] = getattr(role, _NAMES[type(request)])
            try:
                reply = await answer(request)
            except Exception as error:  # noqa: BLE001 - whoever asked has to know
                reply = Reply(failed=f"{type(error).__name__}: {error}")
            sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        await role.stop()


def main() -> None:
    """Be one process of a measurement."""
    role, url, name, limit = sys.argv[1:]
    makers: dict[str, Callable[[], Role]] = {
        "edge": lambda: Edge(url, name, int(limit)),
        "generator": lambda: Generator(url, name),
        "publisher": lambda: Publisher(url, name),
        "sinks": lambda: Sinks(url),
    }

    async def run() -> None:
        await _serve(makers[role]())

    # Standard output is for answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(run())


if __name__ == "__main__":
    main()
