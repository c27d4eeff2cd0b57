"""Brokers that look after webhooks: who leads, and what becomes of facts when something is away."""

import asyncio
import itertools
import json
import re
import time

import pytest

from pogo.broker.webhooks import leader
from pogo.broker.webhooks.leader import DEPOSED_PAUSE, FULL_PAUSE, RETRY_PAUSE
from pogo.registry.memory import MemoryRegistry
from pogo.webhooks import Queue
from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.leading import (
    DELAY,
    AwayStore,
    apps_of,
    make_app,
    make_hook,
    make_settings,
    scene,
)
from tests.cluster_state.helpers import QUICK, until

ROOM = "presence-room"
JOINED = [f"channel_occupied {ROOM}", f"member_added {ROOM} ada"]
LEFT = [f"member_removed {ROOM} ada", f"channel_vacated {ROOM}"]
TOLD_WITHIN = 1.0
"""Seconds in which whatever would be told wrongly is told."""


async def test_facts_become_events() -> None:
    """Beginnings are queued at once, ends after the delay, with the fields that Pusher names."""
    async with scene() as stage:
        broker = await stage.broker(make_settings())
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        edge.count("news", 2)
        expected = [*JOINED, "channel_occupied news", "subscription_count news 2"]
        await stage.tells(expected)
        edge.leave(ROOM, "ada")
        await stage.tells([*expected, *LEFT])
        stored = await stage.store.read(Queue("app", "hook"), 0, 10)

        events = [json.loads(each.body) for each in stored]
        assert all(re.fullmatch("[0-9a-f]{24}", event.pop("id")) for event in events)
        assert {"name": "member_added", "channel": ROOM, "user_id": "ada"} == events[1]
        assert {"name": "channel_occupied", "channel": "news"} == events[2]
        count = {"name": "subscription_count", "channel": "news", "subscription_count": 2}
        assert count == events[3]
        assert 2 == broker.metric("facts_total", event="channel_occupied")
        assert 1 == broker.metric("facts_total", event="channel_vacated")
        assert 0 == broker.metric("differences_waiting")


async def test_a_return_within_the_delay() -> None:
    """Whoever comes back in time never left."""
    async with scene() as stage:
        await stage.broker(make_settings())
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        sockets = ["1.1", "2.2", "3.3", "4.4"]
        for old, new in itertools.pairwise(sockets):
            edge.leave(ROOM, "ada", socket=old)
            await asyncio.sleep(DELAY / 2)
            edge.join(ROOM, "ada", socket=new)
            await edge.writer.drained()
        await asyncio.sleep(TOLD_WITHIN)

        assert JOINED == await stage.told()


async def test_full_channels() -> None:
    """Who found no place on a full channel is not told of: their edge refuses them."""
    async with scene() as stage:
        settings = make_settings(
            make_app(make_hook("hook", "member_added")), max_presence_members=1
        )
        await stage.broker(settings)
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await edge.writer.drained()
        edge.join(ROOM, "ben")
        await edge.writer.drained()
        await stage.tells([JOINED[1]])
        edge.leave(ROOM, "ben")
        edge.leave(ROOM, "ada")
        await edge.writer.drained()
        edge.join(ROOM, "eve")

        await stage.tells([JOINED[1], f"member_added {ROOM} eve"])


async def test_apps_are_shared_out() -> None:
    """Each app is led by one of the live brokers, and by another as soon as that one stops."""
    apps = [make_app(make_hook(), app_id=f"app-{number}") for number in range(30)]
    async with scene() as stage:
        one = await stage.broker(make_settings(*apps))
        await until(lambda: one.metric("apps_led") == 30)
        two = await stage.broker(make_settings(*apps))
        await until(lambda: one.metric("apps_led") + two.metric("apps_led") == 30)
        assert min(one.metric("apps_led"), two.metric("apps_led")) > 0
        edge = await stage.edge()
        for app in apps:
            edge.join(ROOM, "ada", app=str(app["id"]))
        for app in apps:
            await stage.tells(JOINED, app=str(app["id"]))
        await one.leave()

        await until(lambda: two.metric("apps_led") == 30)
        for app in apps:
            edge.leave(ROOM, "ada", app=str(app["id"]))
        for app in apps:
            await stage.tells([*JOINED, *LEFT], app=str(app["id"]))


async def test_the_leader_is_cut_off() -> None:
    """The other broker leads on; the first is refused when it is back, and joins in."""
    async with scene() as stage:
        brokers = [await stage.broker(make_settings()) for _ in range(2)]
        edge = await stage.edge()
        await until(lambda: sum(broker.metric("apps_led") for broker in brokers) == 1)
        (first,) = (broker for broker in brokers if broker.metric("apps_led"))
        (other,) = (broker for broker in brokers if broker is not first)
        first.link.cut()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        assert 1 == other.metric("apps_led")
        edge.leave(ROOM, "ada")
        await first.link.mend()

        await stage.tells([*JOINED, *LEFT])
        await until(lambda: first.metric("apps_led") == 1 and other.metric("apps_led") == 0)
        edge.join(ROOM, "ada")
        await stage.tells([*JOINED, *LEFT, *JOINED])


async def test_a_registry_that_began_anew() -> None:
    """While edges come back to an empty registry, nobody is told to be gone."""
    async with scene() as stage:
        broker = await stage.broker(make_settings())
        edges = [await stage.edge() for _ in range(2)]
        edges[0].join(ROOM, "ada")
        edges[1].count("news", 1)
        expected = [*JOINED, "channel_occupied news", "subscription_count news 1"]
        await until(lambda: broker.metric("facts_total", event="subscription_count") == 1)
        assert sorted(expected) == sorted(await stage.told())
        empty = MemoryRegistry()
        links = [broker.link, *(edge.link for edge in edges)]
        for link in links:
            link.cut()
        await broker.link.mend(empty)
        await edges[0].link.mend(empty)
        await asyncio.sleep(QUICK.dead_after / 2)
        await edges[1].link.mend(empty)
        await asyncio.sleep(DELAY + TOLD_WITHIN)

        assert sorted(expected) == sorted(await stage.told())


async def test_the_registry_is_away() -> None:
    """What would be told while the registry is away is told when it is back."""
    async with scene() as stage:
        broker = await stage.broker(make_settings())
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        edge.leave(ROOM, "ada")
        await until(lambda: broker.metric("differences_waiting") == 2)
        broker.link.cut()
        await asyncio.sleep(DELAY + TOLD_WITHIN)
        assert JOINED == await stage.told()
        await broker.link.mend()

        await stage.tells([*JOINED, *LEFT])


async def test_a_process_that_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who had the whole time to come back while this broker stood still gets it again."""
    monkeypatch.setattr(leader, "STALL", 0.5)
    async with scene() as stage:
        broker = await stage.broker(make_settings())
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        edge.leave(ROOM, "ada")
        await until(lambda: broker.metric("differences_waiting") == 2)
        time.sleep(1.0)  # noqa: ASYNC251 (that is the point)
        await asyncio.sleep(DELAY / 3)
        edge.join(ROOM, "ada")
        await asyncio.sleep(TOLD_WITHIN)

        assert JOINED == await stage.told()


async def test_the_store_is_away() -> None:
    """Facts wait for the store, and are told by what is true when it is back."""
    store = AwayStore()
    async with scene(store) as stage:
        broker = await stage.broker(make_settings())
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED)
        store.is_away = True
        edge.leave(ROOM, "ada")
        edge.count("news", 1)
        await until(lambda: broker.metric("differences_waiting") > 0)
        edge.join(ROOM, "ben")
        edge.count("news", 0)
        await asyncio.sleep(DELAY + RETRY_PAUSE)
        assert JOINED == await stage.told()
        store.is_away = False

        expected = [*JOINED, f"member_added {ROOM} ben", f"member_removed {ROOM} ada"]
        await stage.tells(expected)


async def test_a_full_queue_delays_no_other_endpoint() -> None:
    """Facts wait for room in their queue; another endpoint of the app is told meanwhile."""
    store = MemoryWebhookStore(queue_size=2)
    hooks = [make_hook("full", "member_added"), make_hook("some", "channel_occupied")]
    async with scene(store) as stage:
        broker = await stage.broker(make_settings(make_app(*hooks)))
        edge = await stage.edge()
        for user in ("1", "2", "3", "4", "5"):
            edge.join(ROOM, user)
        edge.count("news", 1)
        added = [f"member_added {ROOM} {user}" for user in ("1", "2", "3", "4", "5")]
        await stage.tells([JOINED[0], "channel_occupied news"], "some")
        await stage.tells(added[:2], "full")
        await until(lambda: broker.metric("differences_waiting") == 3)
        queue = Queue("app", "full")
        taken = [*added[:2]]
        while len(taken) < len(added):
            stored = await store.read(queue, 0, 10)
            await store.remove(queue, stored[-1].sequence)
            async with asyncio.timeout(FULL_PAUSE + TOLD_WITHIN):
                while not await stage.told("full"):  # noqa: ASYNC110 (the store has no event)
                    await asyncio.sleep(0.01)
            await asyncio.sleep(TOLD_WITHIN / 4)
            taken += await stage.told("full")

        assert added == taken


async def test_a_deposed_leader_leads_anew() -> None:
    """Who is deposed and believes to lead all the same takes the lead again after a pause."""
    store = AwayStore()
    async with scene(store) as stage:
        await stage.broker(make_settings())
        edge = await stage.edge()
        await until(lambda: store.leads == 1)
        await store.lead("app")
        edge.join(ROOM, "ada")
        await asyncio.sleep(DEPOSED_PAUSE / 2)
        assert [] == await stage.told()

        await stage.tells(JOINED)
        assert 3 == store.leads


async def test_a_leader_that_fails_is_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody expected is logged, and delays webhooks instead of ending them."""
    store = AwayStore()
    async with scene(store) as stage:
        await stage.broker(make_settings())
        edge = await stage.edge()
        store.bugs = 1
        edge.join(ROOM, "ada")

        await stage.tells(JOINED)
    assert "webhooks failed and start again" in capsys.readouterr().out


async def test_apps_are_read_again() -> None:
    """A new endpoint is told what is, one that stays nothing twice, one that is gone nothing."""
    async with scene() as stage:
        broker = await stage.broker(make_settings(make_app(make_hook("old"))))
        edge = await stage.edge()
        edge.join(ROOM, "ada")
        await stage.tells(JOINED, "old")
        broker.webhooks.replace_apps(
            apps_of(make_app(make_hook("old"), make_hook("new")), make_app(app_id="other"))
        )
        await stage.tells(JOINED, "new")
        assert 1 == broker.metric("apps_led")
        broker.webhooks.replace_apps(apps_of(make_app(make_hook("new"))))
        edge.leave(ROOM, "ada")
        await stage.tells([*JOINED, *LEFT], "new")
        assert JOINED == await stage.told("old")
        broker.webhooks.replace_apps(apps_of(make_app()))

        await until(lambda: broker.metric("apps_led") == 0)
