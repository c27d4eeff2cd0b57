"""What a client with a forged signature gets from an edge: two errors, and nothing else."""

import pytest

from pogo.pusher.channels import channel_kind
from pogo.records.memory import MemoryRecords
from tests.edge.backend import EVENT, Backend
from tests.edge.helpers import KEY, SECRET, Client, running_edge
from tests.pusher.forgeries import GUARDED, OPEN, OTHER_KEY, OTHER_SECRET, Signer, forgeries

APPS = [
    {"id": "app", "key": KEY, "secret": SECRET},
    {"id": "other", "key": OTHER_KEY, "secret": OTHER_SECRET.decode()},
]
CACHED = [channel for channel in GUARDED if channel_kind(channel).is_cache]


def signer(client: Client) -> Signer:
    """Return what signs for a client."""
    return Signer(KEY, SECRET.encode(), client.socket_id)


async def joined(client: Client, channel: str) -> None:
    """Subscribe as the application allows."""
    await client.send("pusher:subscribe", signer(client).request(channel))
    await client.expect("pusher_internal:subscription_succeeded")


async def nothing_remembered(client: Client, channel: str) -> None:
    """Receive what a new subscriber of a cache channel is told where nothing is remembered."""
    if channel_kind(channel).is_cache:
        await client.expect("pusher:cache_miss")


async def refused(client: Client, channel: str) -> None:
    """Receive both errors of a refusal."""
    error = await client.expect("pusher:error")
    refusal = await client.expect("pusher:subscription_error")

    assert 4009 == error["data"]["code"]
    assert channel == refusal["channel"]
    assert ("AuthError", 401) == (refusal["data"]["type"], refusal["data"]["status"])


@pytest.mark.parametrize("channel", GUARDED)
async def test_forged_signatures(channel: str) -> None:
    """Each is refused; events pass by until the application's own signature comes."""
    async with (
        running_edge(apps=APPS, message_rate=-1) as edge,
        Client(edge.url()) as member,
        Client(edge.url()) as forger,
    ):
        await joined(member, channel)
        await nothing_remembered(member, channel)
        for data in forgeries(signer(forger), channel).values():
            await forger.send("pusher:subscribe", data)
            await refused(forger, channel)
        await edge.publish(channel, "created")
        await member.expect("created")
        await forger.silent()
        await member.silent()
        assert 1.0 == edge.metric("subscriptions_active")

        await joined(forger, channel)
        await nothing_remembered(forger, channel)
        await edge.publish(channel, "after")
        await forger.expect("after")


@pytest.mark.parametrize("channel", CACHED)
async def test_forged_signatures_show_no_cached_event(channel: str) -> None:
    """What a cache channel remembers is for its subscribers, too: nobody else is sent it."""
    records = MemoryRecords()
    async with (
        running_edge(apps=APPS, message_rate=-1, cache=records) as edge,
        Client(edge.url()) as forger,
    ):
        await Backend(edge.bus, records).publish(channel, "secret")
        for data in forgeries(signer(forger), channel).values():
            await forger.send("pusher:subscribe", data)
            await refused(forger, channel)
        await forger.silent()

        await joined(forger, channel)
        assert "secret" == (await forger.expect(EVENT))["data"]


@pytest.mark.parametrize("channel", GUARDED)
@pytest.mark.parametrize("auth", [1, True, [], {}])
async def test_signatures_of_another_type(channel: str, auth: object) -> None:
    """What is no text is no signature: the message is refused as a whole."""
    async with running_edge() as edge, Client(edge.url()) as client:
        await client.send("pusher:subscribe", {"channel": channel, "auth": auth})
        error = await client.expect("pusher:error")
        await edge.publish(channel, "created")

        assert error["data"]["code"] is None
        await client.silent()
        assert 0.0 == edge.metric("subscriptions_active")


async def test_signatures_of_another_connection() -> None:
    """What was signed for one client lets no other one in, on the same channel of the same app."""
    async with (
        running_edge() as edge,
        Client(edge.url()) as owner,
        Client(edge.url()) as thief,
    ):
        for channel in GUARDED:
            await thief.send("pusher:subscribe", signer(owner).request(channel))
            await refused(thief, channel)
            await joined(owner, channel)
            await nothing_remembered(owner, channel)


async def test_signatures_of_another_app() -> None:
    """Each app's signature opens its own channel, and not the one of the same name elsewhere."""
    async with (
        running_edge(apps=APPS) as edge,
        Client(edge.url()) as client,
        Client(edge.url(OTHER_KEY)) as stranger,
    ):
        there = Signer(OTHER_KEY, OTHER_SECRET, stranger.socket_id)
        for channel in GUARDED:
            await stranger.send("pusher:subscribe", signer(stranger).request(channel))
            await refused(stranger, channel)
            await stranger.send("pusher:subscribe", there.request(channel))
            await stranger.expect("pusher_internal:subscription_succeeded")
            await nothing_remembered(stranger, channel)
            await joined(client, channel)
            await nothing_remembered(client, channel)
            await edge.publish(channel, "created", app="other")
            await stranger.expect("created")
            await client.silent()


@pytest.mark.parametrize("channel", OPEN)
async def test_open_channels(channel: str) -> None:
    """`cache-`, and names that only begin like a guarded prefix, need no signature."""
    async with running_edge() as edge, Client(edge.url()) as client:
        await client.send("pusher:subscribe", {"channel": channel})
        await client.expect("pusher_internal:subscription_succeeded")
        await nothing_remembered(client, channel)
        await edge.publish(channel, "created")
        await client.expect("created")
