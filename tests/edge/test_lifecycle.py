import asyncio
import contextlib
import time
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.edge.server import EdgeServer
from pogo.registry.memory import MemoryRegistry
from pogo.settings import App
from tests.edge.helpers import (
    KEY,
    SECRET,
    TIMEOUT,
    Client,
    Edge,
    eventually,
    make_settings,
    running_edge,
)
from tests.edge.raw import RawClient
from tests.servers import NatsServer


async def _health(edge: Edge) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(edge.http("/pogo/health")) as answer,
    ):
        return answer.status, (await answer.json()).get("reason", "")


async def test_draining_closes_everyone_spread_out() -> None:
    """Clients get 4200, over a while; nobody new is let in."""
    async with running_edge(shutdown_timeout=5) as edge:
        clients = [Client(edge.url()) for _ in range(50)]
        for client in clients:
            await client.__aenter__()
        port = edge.server.port
        times: list[float] = []

        async def _close_code(client: Client) -> int | None:
            code, _ = await client.closed()
            times.append(time.monotonic())
            return code

        codes = [asyncio.create_task(_close_code(client)) for client in clients]
        await edge.server.stop()

        assert [4200] * 50 == await asyncio.gather(*codes)
        # A hundred a second.
        assert 0.3 < max(times) - min(times) < 2
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection("127.0.0.1", port)


async def test_draining_lets_handshakes_end_that_have_begun() -> None:
    """Whoever was accepted just before gets a close code that says to come back, and no refusal."""
    async with running_edge(shutdown_timeout=5) as edge:
        port = edge.server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        writer.write(head.encode())
        # A whole request later the edge has read the beginning of that one.
        await _health(edge)
        stopping = asyncio.create_task(edge.server.stop())
        await asyncio.sleep(0)
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(TIMEOUT):
            # The code, 4200, at the beginning of the close frame's payload.
            await reader.readuntil(b"\x10\x68")
        writer.close()
        await stopping

    assert b"101" == answer[9:12]


async def test_draining_ends_although_clients_do_not_answer() -> None:
    """A client that ignores the close, and one that never finished its handshake, are dropped."""
    async with running_edge(shutdown_timeout=1) as edge, RawClient(edge.server.port) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port)
        writer.write(b"GET /app/")
        # A whole request later the edge has read the beginning of that one.
        await _health(edge)
        before = time.monotonic()
        await edge.server.stop()

        assert time.monotonic() - before < 3
        assert 4200 == await client.close_code()
        assert b"503" == (await reader.read())[9:12]
        writer.close()


async def test_removed_and_disabled_apps() -> None:
    """When apps are replaced, connections of those that are gone are closed with their code."""
    settings = make_settings(
        apps=[{"id": name, "secret": SECRET} for name in ("stays", "goes", "disabled")]
    )
    apps = [*settings.apps[:1], settings.apps[2].model_copy(update={"enabled": False})]
    async with (
        running_edge(apps=settings.apps) as edge,
        Client(edge.url("stays")) as stays,
        Client(edge.url("goes")) as goes,
        Client(edge.url("disabled")) as disabled,
    ):
        edge.server.replace_apps(apps)

        assert 4001 == (await goes.closed())[0]
        assert 4003 == (await disabled.closed())[0]
        await stays.silent()


async def test_a_new_secret_counts_at_once() -> None:
    """Connections that are open sign with the secret that the app has now."""
    async with running_edge() as edge, Client(edge.url()) as client:
        await client.subscribe("private-a")
        other = {"id": "app", "key": KEY, "secret": "another-secret-altogether"}
        edge.server.replace_apps([App.model_validate(other)])
        await client.ask("private-b")
        assert 4009 == (await client.expect("pusher:error"))["data"]["code"]
        await client.expect("pusher:subscription_error")
        edge.server.replace_apps([App.model_validate({**other, "previous_secret": SECRET})])
        await client.subscribe("private-c")


async def test_bus_outage(tmp_path: Path) -> None:
    """While the bus is away the edge says so, and keeps its clients; they hear again after it."""
    async with NatsServer(tmp_path) as nats:
        bus = NatsBus([nats.url])
        await bus.start()
        async with running_edge(bus) as edge, Client(edge.url()) as client:
            await client.subscribe("news")
            await client.subscribe("private-a")
            nats.kill()
            await eventually(lambda: not bus.connected)
            status, reason = await _health(edge)
            assert 503 == status
            assert "bus" in reason
            assert 0.0 == edge.metric("edge_bus_connected")
            await client.send("client-x", {}, channel="private-a")
            error = await client.expect("pusher:error")
            assert "not sent" in error["data"]["message"]
            await client.ask("later")
            await client.silent()

            await nats.start()
            await client.expect("pusher_internal:subscription_succeeded")
            assert (200, "") == await _health(edge)
            for channel in ("news", "later"):
                await edge.publish(channel, "created")
                await client.expect("created")
        await bus.close()


async def test_bus_away_for_long(tmp_path: Path) -> None:
    """After `bus_grace` clients are closed with 4200, and new ones refused with 4100."""
    async with NatsServer(tmp_path) as nats:
        bus = NatsBus([nats.url])
        await bus.start()
        async with running_edge(bus, bus_grace=0.5) as edge:
            async with Client(edge.url()) as client:
                nats.kill()
                assert 4200 == (await client.closed())[0]
            async with Client(edge.url()) as late:
                assert 4100 == (await late.closed())[0]
            await nats.start()
            await eventually(lambda: bus.connected)
            async with Client(edge.url()) as again:
                await again.subscribe("news")
        await bus.close()


async def test_port_in_use() -> None:
    """An edge whose port is taken says so at its start."""
    async with running_edge() as edge:
        with pytest.raises(OSError, match="address already in use"):
            async with running_edge(port=edge.server.port):
                pass
        async with Client(edge.url()) as client:
            await client.silent()


async def test_a_closed_client_gets_nothing_more() -> None:
    """Nothing follows a close frame."""
    async with running_edge() as edge, RawClient(edge.server.port) as raw:
        await raw.subscribe("news")
        await edge.publish("news", "before")
        edge.server.replace_apps([])
        await edge.publish("news", "after")
        received = await raw.read_until(b"is gone")

        assert b"before" in received
        assert b"after" not in received


async def test_lost_connections_are_forgotten() -> None:
    """Clients that vanish leave no subscription behind."""
    async with running_edge() as edge:
        for _ in range(20):
            async with RawClient(edge.server.port) as client:
                await client.subscribe("news")
        await eventually(lambda: not edge.metric("connections_active"))

        assert (0.0, 0.0) == (edge.metric("subscriptions_active"), edge.metric("channels_active"))


async def test_no_task_per_connection() -> None:
    """A hundred clients with a subscription each make no task."""
    async with running_edge() as edge, contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(RawClient(edge.server.port))
        await first.subscribe("channel")
        # The edge's own tasks run by now.
        before = len(asyncio.all_tasks())
        for number in range(100):
            client = await stack.enter_async_context(RawClient(edge.server.port))
            await client.subscribe(f"channel-{number}")

        assert before == len(asyncio.all_tasks())


async def test_a_bus_that_returns_spares_the_rest(tmp_path: Path) -> None:
    """Clients that were not closed yet when the bus came back are kept."""
    async with NatsServer(tmp_path) as nats:
        bus = NatsBus([nats.url])
        await bus.start()
        async with (
            running_edge(bus, bus_grace=0.2, shutdown_timeout=120) as edge,
            contextlib.AsyncExitStack() as stack,
        ):
            # At a hundred closes a second this takes four seconds.
            for _ in range(400):
                await stack.enter_async_context(RawClient(edge.server.port))
            nats.kill()
            await eventually(lambda: edge.metric("connections_active") < 400)
            await nats.start()
            await eventually(lambda: bus.connected)
            kept = edge.metric("connections_active")
            async with Client(edge.url()) as client:
                await client.subscribe("news")

            await eventually(lambda: edge.metric("connections_active") == kept)
            assert kept > 0
        await bus.close()


async def test_stop_before_start() -> None:
    """An edge that never started has nothing to stop."""
    bus = MemoryBus()
    server = EdgeServer(
        make_settings(), bus=bus, registry=MemoryRegistry(), metrics=CollectorRegistry()
    )
    await server.stop()
    await bus.start()
    await server.start()
    await server.stop()
    await server.stop()
    await bus.close()
