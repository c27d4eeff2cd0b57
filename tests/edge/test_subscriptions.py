import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from pogo.bus import Message, channel_subject
from tests.edge.helpers import APP, KEY, SECRET, Client, Edge, running_edge


@pytest.fixture(name="edge")
async def _edge() -> AsyncIterator[Edge]:
    async with running_edge() as edge:
        yield edge


async def test_events_reach_subscribers_only(edge: Edge) -> None:
    """Whoever subscribed gets the event, once, and nobody else."""
    async with Client(edge.url()) as one, Client(edge.url()) as two, Client(edge.url()) as other:
        await one.subscribe("news")
        await two.subscribe("news")
        await other.subscribe("sport")
        await edge.publish("news", "created", '{"id":1}')

        for client in (one, two):
            message = await client.receive()
            assert {"event": "created", "channel": "news", "data": '{"id":1}'} == message
            await client.silent()
        await other.silent()


async def test_apps_are_apart() -> None:
    """A channel of the same name in another app is another channel."""
    apps = [{"id": "a", "secret": SECRET}, {"id": "b", "secret": SECRET}]
    async with (
        running_edge(apps=apps) as edge,
        Client(edge.url("a")) as one,
        Client(edge.url("b")) as two,
    ):
        await one.subscribe("news")
        await two.subscribe("news")
        await edge.publish("news", "created", app="b")

        await two.expect("created")
        await one.silent()


async def test_excluded_socket(edge: Edge) -> None:
    """The connection that an event came from does not get it, but what comes with it."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe("news")
        await two.subscribe("news")
        await asyncio.gather(
            edge.publish("news", "first"),
            edge.publish("news", "second", exclude=one.socket_id),
            edge.publish("news", "third", exclude="1.1"),
        )

        assert ["first", "third"] == [(await one.receive())["event"] for _ in range(2)]
        assert ["first", "second", "third"] == [(await two.receive())["event"] for _ in range(3)]
        await one.silent()


async def test_events_stay_in_order(edge: Edge) -> None:
    """A thousand events in a few turns arrive in the order of publication."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        for number in range(1000):
            await edge.publish("news", "created", str(number))

        assert [str(n) for n in range(1000)] == [
            (await client.receive())["data"] for _ in range(1000)
        ]


async def test_large_events(edge: Edge) -> None:
    """Frames of every length class arrive whole."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        for size in (1, 40, 60, 125, 126, 65_500, 65_536, 300_000):
            await edge.publish("news", "created", "x" * size)
            assert "x" * size == (await client.receive())["data"]


async def test_unsubscribe(edge: Edge) -> None:
    """No event comes after it, and the last one to leave closes the channel."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        assert (1.0, 1.0) == (edge.metric("subscriptions_active"), edge.metric("channels_active"))
        await client.send("pusher:unsubscribe", {"channel": "news"})
        await client.silent()
        await edge.publish("news", "created")
        await client.silent()

        assert (0.0, 0.0) == (edge.metric("subscriptions_active"), edge.metric("channels_active"))
        await client.subscribe("news")
        await edge.publish("news", "created")
        await client.expect("created")


async def test_subscribing_twice(edge: Edge) -> None:
    """The answer is the same, and events still come once."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        await client.subscribe("news")
        await client.subscribe("presence-a", "7")
        again = await client.subscribe("presence-a", "7")
        await edge.publish("news", "created")

        assert ["7"] == again["presence"]["ids"]
        await client.expect("created")
        await client.silent()
        assert 2.0 == edge.metric("subscriptions_active")


async def test_asking_twice_at_once(edge: Edge) -> None:
    """While a subscription is pending it has one answer."""
    async with Client(edge.url()) as client:
        await client.ask("news")
        await client.ask("news")
        await client.expect("pusher_internal:subscription_succeeded")
        await edge.publish("news", "created")

        rest = [(await client.receive())["event"]]
        if rest != ["created"]:
            rest.append((await client.receive())["event"])
        assert "created" == rest[-1]
        await client.silent()


async def test_bad_signature(edge: Edge) -> None:
    """The client learns it on the channel too, and gets no event."""
    async with Client(edge.url()) as client:
        await client.send("pusher:subscribe", {"channel": "private-a", "auth": f"{KEY}:bad"})
        error = await client.expect("pusher:error")
        refused = await client.expect("pusher:subscription_error")
        await edge.publish("private-a", "created")

        assert 4009 == error["data"]["code"]
        assert ("private-a", 401) == (refused["channel"], refused["data"]["status"])
        await client.silent()
        assert 1.0 == edge.metric("errors_total", code="4009")


@pytest.mark.parametrize("channel", ["private-a", "private-encrypted-a"])
async def test_kinds_of_channels(edge: Edge, channel: str) -> None:
    """What is published comes through untouched on every kind (for cache channels: test_cache)."""
    data = json.dumps({"nonce": "x", "ciphertext": "y"})
    async with Client(edge.url()) as client:
        assert {} == await client.subscribe(channel)
        await edge.publish(channel, "created", data)

        assert data == (await client.receive())["data"]


async def test_client_events(edge: Edge) -> None:
    """They reach the other subscribers, with the user on presence channels."""
    async with Client(edge.url()) as one, Client(edge.url()) as two, Client(edge.url()) as other:
        for client, user in ((one, "1"), (two, "2")):
            await client.subscribe("private-a")
            await client.subscribe("presence-a", user)
        await one.expect("pusher_internal:member_added")
        await other.subscribe("private-b")
        await one.send("client-typing", {"x": 1}, channel="private-a")
        await one.send("client-typing", "text", channel="presence-a", user_id="2")

        private = await two.expect("client-typing")
        presence = await two.expect("client-typing")
        assert {"event": "client-typing", "channel": "private-a", "data": {"x": 1}} == private
        assert ("1", "text") == (presence["user_id"], presence["data"])
        await one.silent()
        await other.silent()


async def test_refused_client_events(edge: Edge) -> None:
    """A public channel, a stranger and a flood are refused, and the connection goes on."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        await client.send("client-x", {}, channel="news")
        assert (await client.expect("pusher:error"))["data"]["code"] is None
        await client.send("client-x", {}, channel="private-a")
        assert (await client.expect("pusher:error"))["data"]["code"] is None
        await client.subscribe("private-a")
        for _ in range(11):
            await client.send("client-x", {}, channel="private-a")
        assert 4301 == (await client.expect("pusher:error"))["data"]["code"]
        await client.silent()


async def test_signin(edge: Edge) -> None:
    """A signed-in user gets what is sent to them, and nothing that is sent to others."""
    async with Client(edge.url()) as client:
        await client.signin('{"id":"7"}')
        success = await client.expect("pusher:signin_success")
        await client.send("pusher:subscribe", {"channel": "#server-to-user-7", "auth": ""})
        await client.expect("pusher_internal:subscription_succeeded")
        await edge.publish("#server-to-user-7", "hello", "{}")
        await client.expect("hello")
        await client.send("pusher:subscribe", {"channel": "#server-to-user-8", "auth": ""})

        assert {"user_data": '{"id":"7"}'} == success["data"]
        assert 4009 == (await client.expect("pusher:error"))["data"]["code"]


async def test_no_delivery(edge: Edge) -> None:
    """What is no delivery is counted, and the channel goes on."""
    async with Client(edge.url()) as client:
        await client.subscribe("news")
        await edge.bus.publish([Message(channel_subject(APP, "news"), b"\xff\xff")])
        await edge.publish("news", "created")
        await client.expect("created")

        assert 1.0 == edge.metric("invalid_deliveries_total")


async def test_messages_are_counted(edge: Edge) -> None:
    """Both ways, every message once."""
    async with Client(edge.url()) as one, Client(edge.url()) as two:
        await one.subscribe("news")
        await two.subscribe("news")
        await edge.publish("news", "created")
        await one.expect("created")
        await two.expect("created")

        # Two greetings, two answers, two events.
        assert 6.0 == edge.metric("messages_total", direction="out")
        assert 2.0 == edge.metric("messages_total", direction="in")
