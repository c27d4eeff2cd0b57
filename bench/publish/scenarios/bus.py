"""The bus alone, in a process with 10,000 subscriptions: an edge without its clients."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import HOST, NatsServer, RedisServer, ServerProcess

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.report import Row, Target
from bench.publish.child import Child
from bench.publish.receiver import Job, Spent, messages, receiver

TITLE = "the bus in a process with 10,000 subscriptions: subscribing and receiving"

_SUBSCRIPTIONS = 10_000
_ALL_AT_ONCE = 1000
"""Subscriptions that the server confirms together when very many clients come at the same time."""

_FEW = 10
"""Those that come within one turn of an edge's event loop."""

_CHUNK = 20_000
"""Messages that are sent before the receiver has to have had them: fewer than a server keeps."""

_CHUNKS_A_SECOND = 8
_CHURN_A_SECOND = 10_000
_ROUNDS = 5
_TARGETS = {
    "memory": Target(0.4),
    "subscribing": Target(4),
    "messages": Target(250_000, at_least=True),
}


@dataclass(frozen=True, slots=True)
class _Round:
    """What was done in one go, and what it cost: seconds."""

    done: int
    cpu: float
    seconds: float
    server: float
    own: float = 0

    @property
    def server_each(self) -> float:
        """Microseconds of the bus server's processor time."""
        return self.server / self.done * 1e6


async def run(context: Context) -> None:
    """Measure NATS, and Redis beside it."""
    for name in ("NATS", "Redis"):
        targets = _TARGETS if name == "NATS" else {}
        async with _server(name) as server, receiver() as child:
            await _subscribe(context, child, server, name, targets)
            await _receive(context, child, server, name, targets)
            for batch in (_ALL_AT_ONCE, _FEW):
                await _churn(context, child, server, name, batch)


@asynccontextmanager
async def _server(name: str) -> AsyncIterator[ServerProcess]:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as folder:
        server = (NatsServer if name == "NATS" else RedisServer)(Path(folder))
        async with server:
            yield server


async def _subscribe(
    context: Context,
    child: Child[Job, Spent],
    server: ServerProcess,
    name: str,
    targets: Mapping[str, Target],
) -> None:
    count = context.clients(_SUBSCRIPTIONS)
    await child.do(Job("connect", bus=name.lower(), port=server.port))
    spent = await child.do(Job("subscribe", count=count, batch=_ALL_AT_ONCE))
    case = f"{name}, {count:,} subscriptions"
    memory, each = spent.bytes / count / 1024, spent.cpu / count * 1e6
    add = context.report.add
    add(Row(case, "memory a subscription", memory, "KB", target=targets.get("memory")))
    add(Row(case, "CPU a subscription", each, "µs", target=targets.get("subscribing")))


async def _receive(
    context: Context,
    child: Child[Job, Spent],
    server: ServerProcess,
    name: str,
    targets: Mapping[str, Target],
) -> None:
    """Send as fast as the receiver takes it, so that one read brings it many messages."""
    count = context.clients(_SUBSCRIPTIONS)
    chunk = messages(name.lower(), _CHUNK, count)
    chunks = max(1, round(context.seconds * context.scale * _CHUNKS_A_SECOND))
    rounds: list[_Round] = []
    reader, writer = await asyncio.open_connection(HOST, server.port)
    # Redis answers whoever publishes.
    reading = asyncio.create_task(reader.read())
    try:
        for number in range(_ROUNDS + 1):
            before, own = cpu_seconds(server.pid), time.process_time()
            spent = []
            for _ in range(chunks):
                writer.write(chunk)
                spent.append(await child.do(Job("receive", count=_CHUNK)))
            if number:
                rounds.append(
                    _Round(
                        chunks * _CHUNK,
                        sum(one.cpu for one in spent),
                        sum(one.seconds for one in spent),
                        cpu_seconds(server.pid) - before,
                        time.process_time() - own,
                    )
                )
    finally:
        reading.cancel()
        writer.close()
    context.report.check_share(max(one.own / one.seconds for one in rounds), "the sender")
    context.report.add(
        Row(
            f"{name}, {count:,} subscriptions",
            "messages a core-second",
            statistics.median(one.done / one.cpu for one in rounds),
            "",
            target=targets.get("messages"),
            beside={
                "lowest": min(one.done / one.cpu for one in rounds),
                "highest": max(one.done / one.cpu for one in rounds),
                "messages_per_second": statistics.median(one.done / one.seconds for one in rounds),
                "cpu_of_server_us": statistics.median(one.server_each for one in rounds),
            },
        )
    )


async def _churn(
    context: Context, child: Child[Job, Spent], server: ServerProcess, name: str, batch: int
) -> None:
    """End the oldest subscriptions and make them again, each confirmed."""
    batch = min(batch, context.clients(_SUBSCRIPTIONS))
    count = max(1, round(context.seconds * context.scale * _CHURN_A_SECOND / batch)) * batch
    rounds: list[_Round] = []
    for number in range(_ROUNDS + 1):
        before = cpu_seconds(server.pid)
        spent = await child.do(Job("churn", count=count, batch=batch))
        if number:
            used = cpu_seconds(server.pid) - before
            rounds.append(_Round(count, spent.cpu, spent.seconds, used))
    each = [one.cpu / one.done * 1e6 for one in rounds]
    context.report.add(
        Row(
            f"{name}, {batch:,} at a time",
            "CPU an unsubscribe and a subscribe",
            statistics.median(each),
            "µs",
            beside={
                "lowest": min(each),
                "highest": max(each),
                "pairs_per_second": statistics.median(one.done / one.seconds for one in rounds),
                "cpu_of_server_us": statistics.median(one.server_each for one in rounds),
            },
        )
    )
