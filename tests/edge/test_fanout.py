"""Rounds that take many turns of the event loop: one subscriber a turn."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pogo.edge import fanout
from tests.edge.helpers import Client, Edge, eventually, running_edge
from tests.edge.raw import RawClient

SUBSCRIBERS = 40


@pytest.fixture(name="edge")
async def _edge(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    """Run an edge that makes one write a turn."""
    monkeypatch.setattr(fanout, "TURN_BUDGET", 1)
    async with running_edge() as edge:
        yield edge


@contextlib.asynccontextmanager
async def _subscribers(edge: Edge) -> AsyncIterator[list[RawClient]]:
    """Subscribe many, in order."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(SUBSCRIBERS):
            client = await stack.enter_async_context(RawClient(edge.server.port))
            await client.subscribe("news")
            clients.append(client)
        yield clients


async def _publish_two(edge: Edge, excluded: Client) -> None:
    """Publish two events in one turn of the loop, one of which somebody must not get."""
    await asyncio.gather(
        edge.publish("news", "created", exclude=excluded.socket_id),
        edge.publish("news", "created"),
    )


async def test_everyone_gets_everything_in_order_but_their_own(edge: Edge) -> None:
    """What arrives during a round comes after it, and whoever is excluded misses just that."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(edge.url())) for _ in range(10)]
        for client in clients:
            await client.subscribe("news")
        for number in range(60):
            author = clients[number % 7]
            await edge.publish("news", f"event-{number}", exclude=author.socket_id)

        for position, client in enumerate(clients):
            for number in range(60):
                if number % 7 != position:
                    await client.expect(f"event-{number}")
            await client.silent()


async def test_who_leaves_during_a_round_hears_nothing_of_it(edge: Edge) -> None:
    """Not even if it comes back at once: what was published before is not for it."""
    async with _subscribers(edge) as others, Client(edge.url()) as leaving:
        await leaving.subscribe("news")
        before = edge.metric("messages_total", direction="out")
        await edge.publish("news", "created")
        await leaving.send("pusher:unsubscribe", {"channel": "news"})
        await leaving.subscribe("news")
        for other in others:
            await other.read_until(b"created")
        await edge.publish("news", "next")

        await leaving.expect("next")
        for other in others:
            await other.read_until(b'"next"')
        # The answer to who came back is one, too.
        sent = 2 * (SUBSCRIBERS + 1)
        assert sent == edge.metric("messages_total", direction="out") - before


async def test_who_leaves_hears_nothing_of_rounds_that_it_has_a_part_in(edge: Edge) -> None:
    """Not of this one, nor of the next, in neither of which it was to get everything."""
    async with _subscribers(edge) as others, Client(edge.url()) as leaving:
        await leaving.subscribe("news")
        await _publish_two(edge, leaving)
        # That round has begun, and what comes now waits for the next.
        await others[0].read_until(b"created")
        await _publish_two(edge, leaving)
        await leaving.send("pusher:unsubscribe", {"channel": "news"})
        await leaving.silent()
        await edge.publish("news", "next")
        for other in others:
            await other.read_until(b'"next"')

        await leaving.silent()


async def test_who_vanishes_during_a_round_holds_nobody_up(edge: Edge) -> None:
    """The others get it, and the numbers are right."""
    async with _subscribers(edge) as clients:
        await edge.publish("news", "created")
        for gone in clients[1::2]:
            gone.reset()
        for client in clients[::2]:
            await client.read_until(b"created")
        await eventually(lambda: edge.metric("subscriptions_active") == SUBSCRIBERS / 2)
