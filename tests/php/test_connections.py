"""What PHP does with its connection to a broker: it keeps it, and gets over its loss."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from pogo.bus.nats import NatsBus
from tests.broker.helpers import APP, RunningBroker, listen, until
from tests.e2e.cluster import Service
from tests.php.conftest import StartPhp
from tests.php.process import PUBLISH, Php, environment, publish_around_a_fork
from tests.php.relay import Relay
from tests.servers import free_port

EVENT = ("news", "headline", "{}")
PATIENCE = 2.0
"""Seconds that a call takes at the most, if nothing else is said."""


def start_service(log: Path, port: int) -> Service:
    """Run `pogo serve` for the app, with gRPC on that port."""
    settings = environment(APP, GRPC_PORT=str(port), BUS="memory")
    return Service("serve", settings, log)


async def test_one_connection_for_many_calls(
    broker: RunningBroker, start_php: StartPhp, bus: NatsBus
) -> None:
    """However many calls there are, and however different, they share a connection."""
    heard = listen(bus, "news")
    await bus.flush()
    async with Relay(broker.server.grpc_port) as relay, start_php(relay.address) as php:
        for _ in range(100):
            assert (0, "") == await php.outcome("publish", *EVENT)
        assert (0, "") == await php.outcome("broadcast", ["news"], "headline", "{}")
        assert {"outcomes": [[0, ""]] * 3} == await php.call("publishBatch", *[EVENT] * 3)
        assert 2 == (await php.outcome("publish", "no spaces", "headline", "{}"))[0]
        assert (0, "") == await php.outcome("publish", *EVENT)
        assert 1 == relay.connections

    await until(lambda: len(heard) == 105)


async def test_the_functions_keep_their_connection(
    broker: RunningBroker, start_php: StartPhp
) -> None:
    """The two functions find the client of their app again."""
    async with Relay(broker.server.grpc_port) as relay, start_php(relay.address) as php:
        for _ in range(20):
            assert 0 == await php.code(PUBLISH, APP.id, *EVENT)
        assert 1 == relay.connections


async def test_a_connection_lost_between_calls(broker: RunningBroker, start_php: StartPhp) -> None:
    """A connection that was closed meanwhile, as by a load balancer, is replaced unnoticed."""
    async with Relay(broker.server.grpc_port) as relay, start_php(relay.address) as php:
        for _ in range(3):
            assert (0, "") == await php.outcome("publish", *EVENT)
            assert (0, "") == await php.outcome("publish", *EVENT)
            await relay.drop()


async def test_a_broker_that_restarts(tmp_path: Path, start_php: StartPhp) -> None:
    """A broker that restarted between calls is found again at once."""
    port = free_port()
    service = start_service(tmp_path / "first.log", port)
    async with start_php(port) as php:
        try:
            assert (0, "") == await php.outcome("publish", *EVENT)
            assert (0, "") == await php.outcome("publish", *EVENT)
        finally:
            service.stop()
        answer = await php.call("publish", *EVENT)

        assert "UNAVAILABLE" == answer["error"]

        service = start_service(tmp_path / "second.log", port)
        try:
            assert (0, "") == await php.outcome("publish", *EVENT)
            service.stop()
            service = start_service(tmp_path / "third.log", port)

            assert (0, "") == await php.outcome("publish", *EVENT)
            assert (0, "") == await php.outcome("publish", *EVENT)
        finally:
            service.stop()
        assert "" == php.log


@pytest.mark.parametrize("calls_before", [0, 1, 5])
async def test_an_answer_that_is_lost(
    broker: RunningBroker, start_php: StartPhp, bus: NatsBus, calls_before: int
) -> None:
    """A call whose answer is lost is made again as the same one, and its event arrives once."""
    heard, last = listen(bus, "news"), listen(bus, "last")
    await bus.flush()
    async with Relay(broker.server.grpc_port) as relay, start_php(relay.address) as php:
        for _ in range(calls_before):
            await php.outcome("publish", "before", "headline", "{}")
        relay.lose_answers()
        call = asyncio.create_task(php.outcome("publish", *EVENT))
        await until(lambda: len(heard) > 0)
        await relay.drop()

        assert (0, "") == await call

        await php.outcome("publish", "last", "headline", "{}")
        await until(lambda: len(last) == 1)

        assert relay.connections > 1
        assert 1 == len(heard)
        assert 2 <= relay.heard.count(heard[0].id.encode())


async def test_a_batch_whose_answer_is_lost(
    broker: RunningBroker, start_php: StartPhp, bus: NatsBus
) -> None:
    """The events of a batch are not doubled either."""
    heard, last = listen(bus, "news"), listen(bus, "last")
    await bus.flush()
    async with Relay(broker.server.grpc_port) as relay, start_php(relay.address) as php:
        await php.outcome("publish", "before", "headline", "{}")
        relay.lose_answers()
        events = [("news", "headline", str(number)) for number in range(5)]
        call = asyncio.create_task(php.call("publishBatch", *events))
        await until(lambda: len(heard) == 5)
        await relay.drop()

        assert {"outcomes": [[0, ""]] * 5} == await call

        await php.outcome("publish", "last", "headline", "{}")
        await until(lambda: len(last) == 1)

        assert 5 == len(heard)


async def test_a_broker_that_freezes(tmp_path: Path, start_php: StartPhp) -> None:
    """A broker that does not answer costs 2 s, once, and is found again when it does."""
    port = free_port()
    service = start_service(tmp_path / "serve.log", port)
    try:
        async with start_php(port) as php:
            assert (0, "") == await php.outcome("publish", *EVENT)

            os.kill(service.pid, signal.SIGSTOP)
            try:
                begun = time.monotonic()
                kept = await php.call("publish", *EVENT)
                between = time.monotonic()
                fresh = await php.call("publish", *EVENT)
                ended = time.monotonic()
            finally:
                os.kill(service.pid, signal.SIGCONT)

            assert ["DEADLINE_EXCEEDED"] * 2 == [kept["error"], fresh["error"]]
            assert PATIENCE - 0.1 < between - begun < PATIENCE + 0.5
            assert PATIENCE - 0.1 < ended - between < PATIENCE + 0.5

            await php.until_code(0, PUBLISH, APP.id, *EVENT)
    finally:
        service.stop()


async def test_a_shorter_deadline(broker: RunningBroker, start_php: StartPhp) -> None:
    """The time that a call may take is a setting, and both attempts share it."""
    async with (
        Relay(broker.server.grpc_port) as relay,
        start_php(relay.address, TIMEOUT="400ms") as php,
    ):
        assert (0, "") == await php.outcome("publish", *EVENT)

        relay.lose_answers()
        begun = time.monotonic()
        answer = await php.call("publish", *EVENT)

        assert "DEADLINE_EXCEEDED" == answer["error"]
        assert 0.3 < time.monotonic() - begun < 0.9


async def test_nobody_listens(start_php: StartPhp) -> None:
    """Where nobody listens the answer comes at once."""
    async with start_php(free_port()) as php:
        begun = time.monotonic()
        answer = await php.call("publish", *EVENT)

        assert "UNAVAILABLE" == answer["error"]
        assert time.monotonic() - begun < 0.5


async def test_a_unix_socket(broker: RunningBroker, start_php: StartPhp, tmp_path: Path) -> None:
    """A broker may be at a Unix socket, by way of a proxy."""
    path = tmp_path / "broker.sock"
    async with Relay(broker.server.grpc_port, path) as relay, start_php(f"unix:{path}") as php:
        for _ in range(10):
            assert (0, "") == await php.outcome("publish", *EVENT)
        assert 1 == relay.connections


async def test_proxies_of_the_environment_are_not_asked(
    broker: RunningBroker, tmp_path: Path
) -> None:
    """The broker is our own: no proxy comes between."""
    proxy = f"http://127.0.0.1:{free_port()}"
    proxies = {"http_proxy": proxy, "https_proxy": proxy, "all_proxy": proxy, "ALL_PROXY": proxy}
    app = environment(APP, BROKER=f"127.0.0.1:{broker.server.grpc_port}")
    async with Php({**app, **proxies}, tmp_path / "php.log") as php:
        assert (0, "") == await php.outcome("publish", *EVENT)


async def test_a_server_that_is_none(start_php: StartPhp) -> None:
    """An HTTP server, or one that hangs up, is no broker: it is asked twice, and no more."""
    asked = 0

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read(1)
        writer.close()

    for speak in (speak_http, hang_up):
        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, start_php(port) as php:
            assert "UNAVAILABLE" == (await php.call("publish", *EVENT))["error"]
    assert 4 == asked


async def test_a_fork(broker: RunningBroker) -> None:
    """A child opens a connection of its own, and leaves its parent's alone."""
    async with Relay(broker.server.grpc_port) as relay:
        assert [0] * 5 == await publish_around_a_fork(environment(APP, BROKER=relay.address))
        assert 2 == relay.connections
