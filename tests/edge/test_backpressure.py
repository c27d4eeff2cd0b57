"""Clients that read slowly, and channels that have more to write than they can."""

import asyncio
import contextlib
import struct

from tests.edge.helpers import APP, KEY, SECRET, Client, Keys, eventually, running_edge
from tests.edge.raw import RawClient

BLOCK = "x" * 100_000


async def test_slow_reader_is_closed() -> None:
    """It does not slow the others, costs no more than its buffer, and is told 4100."""
    async with (
        running_edge(max_write_buffer=300_000) as edge,
        RawClient(edge.server.port) as slow,
        Client(edge.url()) as fast,
    ):
        await fast.subscribe("news")
        await slow.subscribe("news")
        for _ in range(200):
            await edge.publish("news", "created", BLOCK)
            await fast.expect("created")

        assert edge.metric("client_dropped_messages_total", policy="close") == 1.0
        assert 1.0 == edge.metric("subscriptions_active")
        assert struct.pack(">H", 4100) in (await slow.read_until(b"too slowly"))[-200:]


async def test_slow_reader_loses_events() -> None:
    """With the other policy it stays, and misses what its buffer has no room for."""
    async with (
        running_edge(max_write_buffer=300_000, slow_consumer="drop") as edge,
        RawClient(edge.server.port) as slow,
    ):
        await slow.subscribe("news")
        for _ in range(200):
            await edge.publish("news", "created", BLOCK)
        await eventually(lambda: edge.metric("messages_total", direction="out") == 202)
        dropped = edge.metric("client_dropped_messages_total", policy="drop")
        assert 0 < dropped < 200
        received = await slow.read_bytes(int(200 - dropped) * 100_000)
        await edge.publish("news", "last")
        received += await slow.read_until(b'"last"')

        assert 200 - dropped == received.count(b'"created"')


async def test_answers_are_never_dropped() -> None:
    """Where an answer does not fit, the client is closed also with the other policy."""
    async with (
        running_edge(max_write_buffer=300_000, slow_consumer="drop", message_rate=-1) as edge,
        RawClient(edge.server.port) as slow,
    ):
        await slow.subscribe("news")
        for _ in range(200):
            await edge.publish("news", "created", BLOCK)
        await eventually(lambda: edge.metric("messages_total", direction="out") == 202)
        async with asyncio.timeout(10):
            while edge.metric("subscriptions_active"):
                await slow.send('{"event":"pusher:ping"}')
                await asyncio.sleep(0)

        assert 1.0 == edge.metric("connections_closed_total", code="4100")


async def test_signing_in_as_the_last_straw() -> None:
    """A client that is closed by the answer to its sign-in leaves nothing behind."""
    app = {"id": APP, "key": KEY, "secret": SECRET, "watchlist": True}
    async with (
        running_edge(apps=[app], max_write_buffer=300_000, message_rate=-1) as edge,
        Client(edge.url()) as slow,
    ):
        keys = Keys()
        await edge.registry.watch("u", keys)
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()
        for _ in range(5000):
            # As long as there is room, a large answer; the last straw is whichever comes then.
            await slow.signin('{"id":"a","user_info":"%s"}' % ("x" * 10_000))
            await asyncio.sleep(0)
            if not edge.metric("subscriptions_active"):
                break
        await eventually(lambda: not edge.metric("subscriptions_active"))

        assert 1.0 == edge.metric("connections_closed_total", code="4100")
        await eventually(lambda: not keys.keys)


async def test_stalled_reader_is_dropped() -> None:
    """A client that takes nothing for `write_wait` is dropped, and not before."""
    async with (
        running_edge(
            write_wait=4, ping_period=1, pong_wait=60, max_write_buffer=100_000_000
        ) as edge,
        RawClient(edge.server.port) as slow,
    ):
        loop = asyncio.get_running_loop()
        await slow.subscribe("news")
        start = loop.time()
        for _ in range(8):
            await edge.publish("news", "created", "x" * 1_000_000)
        await eventually(lambda: not edge.metric("connections_active"), within=10)

        assert loop.time() - start >= 4
        assert 1.0 == edge.metric("connections_closed_total", code="stalled")


async def test_a_vanished_slow_reader_does_not_stop_the_drain() -> None:
    """Whoever is gone need not be closed; everyone else is."""
    async with running_edge(shutdown_timeout=5) as edge, contextlib.AsyncExitStack() as stack:
        slow = await stack.enter_async_context(RawClient(edge.server.port))
        await slow.subscribe("news")
        clients = [await stack.enter_async_context(Client(edge.url())) for _ in range(60)]
        for _ in range(5):
            await edge.publish("news", "created", BLOCK)
        stopping = asyncio.create_task(edge.server.stop())
        await asyncio.sleep(0)
        slow.reset()
        codes = [(await client.closed())[0] for client in clients]
        await stopping

        assert {4200} == set(codes)


async def test_a_slow_reader_among_those_who_wait() -> None:
    """A client that is closed by its own answer does not take the channel from the others."""
    async with (
        running_edge(max_write_buffer=150_000, message_rate=-1) as edge,
        RawClient(edge.server.port) as slow,
        Client(edge.url()) as other,
    ):
        await slow.subscribe("news")
        while not edge.metric("client_dropped_messages_total", policy="close"):
            name = "fresh-" + "y" * 100
            await slow.send(f'{{"event":"pusher:subscribe","data":{{"channel":"{name}"}}}}')
            await other.ask(name)
            await edge.publish("news", "created", BLOCK)
            await other.expect("pusher_internal:subscription_succeeded")
            await edge.publish(name, "hello")
            await other.expect("hello")
            await other.send("pusher:unsubscribe", {"channel": name})
            await other.silent()


async def test_a_channel_has_a_backlog() -> None:
    """Events that come faster than they can be written are dropped, and counted."""
    async with (
        running_edge(max_channel_backlog=250_000) as edge,
        Client(edge.url()) as client,
    ):
        await client.subscribe("news")
        # All of them arrive in one turn of the loop, before anything is written.
        await asyncio.gather(*[edge.publish("news", "created", BLOCK) for _ in range(5)])
        dropped = edge.metric("channel_dropped_messages_total")
        for _ in range(int(5 - dropped)):
            await client.expect("created")

        assert 3.0 == dropped
        await client.silent()
        await edge.publish("news", "again")
        await client.expect("again")
