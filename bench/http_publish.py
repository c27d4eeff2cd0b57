"""Measures how many events the HTTP API takes in a second of one core.

    python -m bench.http_publish --requests 20000

Each request publishes one event of 200 bytes, signed as every SDK signs, on a connection that stays
open where the server lets it; nobody is subscribed. `pogo broker` answers once a nats-server has
the event. The figures are of the server's processor time, since the clients run beside it.

With one request in flight, the server sleeps twice for each, and wakes to a processor that others
have used: the same code takes about three times as long as with 32, where it hardly sleeps.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from tests.e2e.cluster import Service, ServiceError
from tests.servers import HOST, NatsServer, ServerError

from bench.cluster import BenchError
from bench.cpu import cpu_seconds, machine

_APP, _SECRET = "bench", "a-secret-that-is-long-enough"
_SETTINGS = {"POGO_APP_ID": _APP, "POGO_APP_SECRET": _SECRET}
_CHANNELS = 8
_IN_FLIGHT = (1, 32)
_DATA_BYTES = 200
_CLOSE_GRACE = 5.0

Requests = Annotated[int, typer.Option(min=100, help="Requests of each measurement.")]


def http_publish(*, requests: Requests = 20_000) -> None:
    """Measure requests a core-second, with one request in flight and with many."""
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    typer.echo(machine())
    try:
        uvloop.run(_measure(requests))
    except (BenchError, ServerError, ServiceError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


async def _measure(requests: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pogo-bench-")))
        nats = await stack.enter_async_context(NatsServer(folder / "nats"))
        settings = {**_SETTINGS, "POGO_BUS": "nats", "POGO_NATS_URL": nats.url}
        edge = Service("edge", settings, folder / "edge.log")
        stack.callback(edge.stop)
        broker = Service("broker", settings, folder / "broker.log")
        stack.callback(broker.stop)
        await _run("pogo broker, confirmed by NATS, kept alive", broker, requests)
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as directory:
        serve = Service("serve", _SETTINGS, Path(directory) / "serve.log")
        try:
            await _run("pogo serve, a connection each", serve, requests // 4)
        finally:
            serve.stop()


async def _run(what: str, service: Service, requests: int) -> None:
    port = service.http_port
    # The first requests are the server's to warm up.
    await _send_all(port, requests // 10, 1)
    for in_flight in _IN_FLIGHT:
        texts = _requests(requests, port)
        cpu, began = cpu_seconds(service.pid), time.perf_counter()
        await _send(texts, port, in_flight)
        took = time.perf_counter() - began
        each = (cpu_seconds(service.pid) - cpu) / requests
        typer.echo(
            f"{1 / each:>8,.0f} requests a core-second: {what}, {in_flight} in flight "
            f"({each * 1e6:.0f} µs each; {requests / took:,.0f} a second; "
            f"load {os.getloadavg()[0]:.1f})"
        )


async def _send_all(port: int, requests: int, in_flight: int) -> None:
    await _send(_requests(requests, port), port, in_flight)


async def _send(texts: list[bytes], port: int, in_flight: int) -> None:
    """Send all requests, on so many connections at a time."""
    await asyncio.gather(*(_client(texts[n::in_flight], port) for n in range(in_flight)))


async def _client(texts: list[bytes], port: int) -> None:
    """Send requests one after the other; a connection that the server closes is opened anew."""
    writer: asyncio.StreamWriter | None = None
    for text in texts:
        if writer is None:
            reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(text)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(2)
        if not head.startswith(b"HTTP/1.1 200 ") or body != b"{}":
            raise BenchError(f"an event was not published: {head!r}")
        if b"\r\nconnection: close\r\n" in head.lower():
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_GRACE)


def _requests(count: int, port: int) -> list[bytes]:
    """Write requests, each of its own; signing them is not measured."""
    return [_request(number, port) for number in range(count)]


def _request(number: int, port: int) -> bytes:
    data = f"{number:0{_DATA_BYTES}}"
    channel = f"bench-{number % _CHANNELS}"
    body = f'{{"name":"event","channels":["{channel}"],"data":"{data}"}}'.encode()
    path = f"/apps/{_APP}/events"
    query = (
        f"auth_key={_APP}&auth_timestamp={time.time():.0f}&auth_version=1.0"
        f"&body_md5={hashlib.md5(body, usedforsecurity=False).hexdigest()}"
    )
    signed = f"POST\n{path}\n{query}".encode()
    signature = hmac.digest(_SECRET.encode(), signed, "sha256").hex()
    head = (
        f"POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\n"
        f"Host: {HOST}:{port}\r\nContent-Type: application/json\r\n"
        f"User-Agent: pusher-bench\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    typer.run(http_publish)
