import asyncio
from pathlib import Path

import pytest

from tests.servers import (
    HOST,
    NatsServer,
    RedisSentinel,
    RedisServer,
    ServerError,
    make_certificate,
)


async def _first_line(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.readline(), 1.0)
    finally:
        writer.close()


async def test_nats_restarts_on_its_port(tmp_path: Path) -> None:
    """A killed nats-server comes back where it was."""
    async with NatsServer(tmp_path) as server:
        port = server.port
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            await _first_line(port, b"")
        await server.start()

        assert port == server.port
        assert (await _first_line(port, b"")).startswith(b"INFO ")


async def test_frozen_redis_is_silent_until_thawed(tmp_path: Path) -> None:
    """A frozen redis-server accepts connections and answers nothing."""
    async with RedisServer(tmp_path) as server:
        server.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await _first_line(server.port, b"PING\r\n")
        server.thaw()

        assert await _first_line(server.port, b"PING\r\n") == b"+PONG\r\n"


async def test_redis_with_user_and_tls(tmp_path: Path) -> None:
    """A redis-server with TLS and a user of its own starts."""
    certificate = make_certificate(tmp_path)
    async with RedisServer(
        tmp_path / "redis", user="pogo", password="secret", certificate=certificate
    ) as server:
        assert server.port > 0


async def test_sentinel_knows_its_master(tmp_path: Path) -> None:
    """A sentinel tells where the master is."""
    async with (
        RedisServer(tmp_path / "master") as master,
        RedisSentinel(tmp_path / "sentinel", master=master, master_name="main") as sentinel,
    ):
        request = b"SENTINEL GET-MASTER-ADDR-BY-NAME main\r\n"

        assert await _first_line(sentinel.port, request) == b"*2\r\n"


async def test_failed_start_tells_why(tmp_path: Path) -> None:
    """A server that cannot start says what its log says."""
    server = NatsServer(tmp_path, args=["-c", "missing.conf"])
    server.reserve_port()

    with pytest.raises(ServerError, match=r"missing\.conf"):
        await server.start()
