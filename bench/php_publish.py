"""Measures how fast one PHP process publishes, with every event confirmed by a nats-server.

    python -m bench.php_publish --calls 5000

The nats-server, the broker and the edge are real processes. A subscriber of our own counts what
arrives: each event must, once.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import structlog
import typer
from tests.e2e.cluster import Service, ServiceError
from tests.servers import NatsServer, ServerError

from bench.cluster import BenchError
from bench.cpu import cpu_seconds
from pogo.bus import channel_subject
from pogo.bus.nats import NatsBus

_APP = {"POGO_APP_ID": "bench", "POGO_APP_SECRET": "a-secret-that-is-long-enough"}
_CHANNELS = 8
_SCRIPT = Path(__file__).with_suffix(".php")
_ARRIVAL_TIMEOUT = 5.0

Calls = Annotated[int, typer.Option(min=1, help="Calls of one event each.")]
Events = Annotated[int, typer.Option(min=1, help="Events that go in batches.")]
Batch = Annotated[int, typer.Option(min=1, max=1000, help="Events of one batch.")]


def php_publish(*, calls: Calls = 5000, events: Events = 50_000, batch: Batch = 500) -> None:
    """Measure calls a second, and events a second in batches. The payload has 200 bytes."""
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    try:
        asyncio.run(_measure(calls, events, batch))
    except (BenchError, ServerError, ServiceError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


async def _measure(calls: int, events: int, batch: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pogo-bench-")))
        nats = await stack.enter_async_context(NatsServer(folder / "nats"))
        settings = {**_APP, "POGO_BUS": "nats", "POGO_NATS_URL": nats.url}
        edge = Service("edge", settings, folder / "edge.log")
        stack.callback(edge.stop)
        broker = Service("broker", settings, folder / "broker.log")
        stack.callback(broker.stop)
        bus = NatsBus([nats.url])
        await bus.start()
        stack.push_async_callback(bus.close)
        await _run(bus, broker, calls, events, batch)


async def _run(bus: NatsBus, broker: Service, calls: int, events: int, batch: int) -> None:
    arrived = 0

    def count(payload: bytes) -> None:
        nonlocal arrived
        del payload
        arrived += 1

    for number in range(_CHANNELS):
        bus.subscribe(channel_subject(_APP["POGO_APP_ID"], f"bench-{number}"), count)
    await bus.flush()
    single, cpu = await _php(broker, calls, 0, batch)
    _show(
        f"calls/s of one event each, with {cpu / calls * 1e6:.0f} µs of the broker", calls, single
    )
    batched, cpu = await _php(broker, 0, events, batch)
    _show(
        f"events/s in batches of {batch}, {cpu / events * 1e6:.1f} µs of the broker",
        events,
        batched,
    )
    async with asyncio.timeout(_ARRIVAL_TIMEOUT):
        await bus.flush()
    if arrived != calls + events:
        raise BenchError(f"{arrived} events arrived, of {calls + events}")


async def _php(broker: Service, calls: int, events: int, batch: int) -> tuple[float, float]:
    """Have PHP publish; returns the seconds it took, and those of the broker's processor.

    The latter include the few calls that warm it up.
    """
    began = cpu_seconds(broker.pid)
    php = await asyncio.create_subprocess_exec(
        *["php", str(_SCRIPT), *map(str, (calls, events, batch, _CHANNELS))],
        env={**os.environ, **_APP, "POGO_BROKER": broker.grpc},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await php.communicate()
    if php.returncode:
        raise BenchError("PHP did not publish all")
    seconds = json.loads(output)
    return seconds["single"] + seconds["batched"], cpu_seconds(broker.pid) - began


def _show(text: str, count: int, seconds: float) -> None:
    typer.echo(f"{count / seconds:>8,.0f} {text}")


if __name__ == "__main__":
    typer.run(php_publish)
