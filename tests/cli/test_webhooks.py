"""Webhooks of whole processes: from a client to an endpoint, and when the store is connected."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pogo.cli.webhook_store import WebhookStorePart
from pogo.settings import Settings, load_settings
from tests.cli.process import TIMEOUT, Pogo
from tests.registry.nats_helpers import PlainNatsServer
from tests.servers import NatsServer
from tests.webhook_receiver import WebhookReceiver

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
APP = '[[apps]]\nid = "one"\nsecret = "secret-of-the-app"\n'
URL = "http://127.0.0.1:9/"
ONE = {"id": "one", "secret": "s"}
WEBHOOKS = [{"url": URL}]


@pytest.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as nats:
        yield nats


def settings(nats: NatsServer, **app: object) -> Settings:
    """Make settings of one app on NATS."""
    return load_settings(
        None,
        {},
        {"apps": [{**ONE, **app}], "bus": "nats", "nats_url": nats.url},
    )


async def test_the_store_is_connected_if_anyone_needs_it(nats: NatsServer) -> None:
    """At the start where an app has webhooks, else when the first one has; and only once."""
    without = settings(nats)
    part = WebhookStorePart(without)
    await part.start()
    part.replace_apps(without.apps)
    assert not part.store.connected
    for _ in range(2):
        part.replace_apps(settings(nats, webhooks=WEBHOOKS).apps)
    async with asyncio.timeout(TIMEOUT):
        while not part.store.connected:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.01)
    await part.close()
    assert not part.store.connected

    part = WebhookStorePart(settings(nats, webhooks=WEBHOOKS))
    await part.start()
    assert part.store.connected
    await part.close()


async def test_webhook_url_needs_the_store(nats: NatsServer) -> None:
    """The endpoint of apps that name none is one, too."""
    part = WebhookStorePart(settings(nats).model_copy(update={"webhook_url": URL}))
    await part.start()

    assert part.store.connected
    await part.close()


async def test_a_store_that_can_never_work_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that runs is not ended because an app gets webhooks that cannot be stored."""
    async with PlainNatsServer(tmp_path / "plain") as nats:
        without = load_settings(None, {}, {"apps": [ONE], "bus": "nats", "nats_url": nats.url})
        part = WebhookStorePart(without)
        await part.start()
        part.replace_apps(load_settings(None, {}, {"apps": [{**ONE, "webhooks": WEBHOOKS}]}).apps)
        reported = ""
        async with asyncio.timeout(TIMEOUT):
            while "the webhook store cannot be used" not in reported:
                reported += capsys.readouterr().out
                await asyncio.sleep(0.01)
        await part.close()

    assert "JetStream" in reported


async def test_serve_tells_its_endpoint(tmp_path: Path) -> None:
    """`pogo serve` posts what its clients do, from the moment that its app has webhooks."""
    config = tmp_path / "pogo.toml"
    config.write_text(APP)
    async with WebhookReceiver() as receiver, Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        async with Pogo(tmp_path, "listen", "news", "--json", "--url", ready["url"]) as listen:
            await listen.told("listening to news")
            webhook = f'[[apps.webhooks]]\nname = "hook"\nurl = "{receiver.url}"\n'
            config.write_text(f"{APP}\n{webhook}")
            serve.process.send_signal(signal.SIGHUP)
            await receiver.until_events(2)
            assert receiver.verifies("one", "secret-of-the-app")
            assert 0 == await listen.stop(signal.SIGINT)
        await receiver.until_events(4)
        assert 0 == await serve.stop()

    told = [(event["name"], event.get("subscription_count")) for event in receiver.events]
    assert [
        ("channel_occupied", None),
        ("subscription_count", 1),
        ("subscription_count", 0),
        ("channel_vacated", None),
    ] == told
