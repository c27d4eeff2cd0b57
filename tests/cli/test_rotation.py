"""An app's secret is rotated as docs/operations.md says, and nobody notices."""

import asyncio
import hashlib
import hmac
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pusher
import pytest
from websockets.asyncio.client import ClientConnection, connect

from pogo.client import AsyncClient, PublishError
from pogo.pusher.signatures import sign_channel
from tests.cli.process import Pogo
from tests.servers import HOST, NatsServer, free_port
from tests.webhook_receiver import Received, WebhookReceiver

OLD, NEW = "the-old-secret-of-the-shop", "the-new-secret-of-the-shop"
TIMEOUT = 10.0


class Shop:
    """An edge and a broker that share a file of settings."""

    def __init__(self, folder: Path, nats: NatsServer, receiver: WebhookReceiver) -> None:
        self.port, self.api, self.grpc = free_port(), free_port(), free_port()
        self._folder = folder
        self._nats = nats
        self._receiver = receiver
        self._reloads = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{HOST}:{self.port}/app/7?protocol=7"

    def write(self, secret: str, previous: str = "") -> None:
        """Write the settings."""
        lines = ['bus = "nats"', f'nats_url = "{self._nats.url}"', "[[apps]]", 'id = "7"']
        lines += [
            f'secret = "{secret}"',
            *([f'previous_secret = "{previous}"'] if previous else []),
            "[[apps.webhooks]]",
            f'url = "{self._receiver.url}"',
            'events = ["channel_occupied"]',
        ]
        (self._folder / "pogo.toml").write_text("\n".join(lines))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run both."""
        env = {"POGO_METRICS_PORT": "0", "POGO_GRPC_PORT": str(self.grpc)}
        async with (
            Pogo(self._folder, "edge", "--port", str(self.port), env=env) as edge,
            Pogo(self._folder, "broker", "--port", str(self.api), env=env) as broker,
        ):
            self._services = (edge, broker)
            for service in self._services:
                await service.logged("ready")
            yield

    async def reload(self, secret: str, previous: str = "") -> None:
        """Write the settings, and have both read them."""
        self.write(secret, previous)
        self._reloads += 1
        for service in self._services:
            service.process.send_signal(signal.SIGHUP)
            await service.logged("apps reloaded", self._reloads)


async def _published(shop: Shop, secret: str) -> bool:
    """Publish by gRPC and by HTTP; both agree whether the secret is good."""
    target = f"{HOST}:{shop.grpc}"
    async with AsyncClient(target, app_id="7", key="7", secret=secret) as client:
        try:
            await client.publish("private-orders", "order", {"by": secret})
            by_grpc = True
        except PublishError as error:
            if "UNAUTHENTICATED" not in str(error):
                raise
            by_grpc = False
    sdk: Any = pusher.Pusher("7", "7", secret, host=HOST, port=shop.api, ssl=False)
    try:
        await asyncio.to_thread(sdk.trigger, "private-orders", "order", {"by": secret})
        by_http = True
    except pusher.errors.PusherBadAuth:
        by_http = False
    assert by_grpc == by_http
    return by_grpc


async def _next(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT))


async def _subscribed(shop: Shop, secret: str) -> bool:
    """Subscribe with a signature, on a connection of its own."""
    async with connect(shop.url) as socket:
        return await _subscribe(socket, secret) == "pusher_internal:subscription_succeeded"


async def _webhook(shop: Shop, receiver: WebhookReceiver, channel: str) -> Received:
    """Occupy a channel, and return the request that tells of it."""
    found: list[Received] = []

    def has_come() -> bool:
        told = [each for each in receiver.requests if channel.encode() in each.body]
        found.extend(told)
        return bool(told)

    async with connect(shop.url) as socket:
        await _next(socket)
        data = {"channel": channel}
        await socket.send(json.dumps({"event": "pusher:subscribe", "data": data}))
        await receiver.until(has_come)
    return found[0]


def _is_signed(webhook: Received, secret: str) -> bool:
    signature = hmac.new(secret.encode(), webhook.body, hashlib.sha256).hexdigest()
    return signature == webhook.header("X-Pusher-Signature")


async def _subscribe(socket: ClientConnection, secret: str) -> str:
    socket_id = json.loads((await _next(socket))["data"])["socket_id"]
    auth = f"7:{sign_channel(secret.encode(), socket_id, 'private-orders')}"
    data = {"channel": "private-orders", "auth": auth}
    await socket.send(json.dumps({"event": "pusher:subscribe", "data": data}))
    return str((await _next(socket))["event"])


@pytest.mark.timeout(90)
async def test_nobody_notices(tmp_path: Path) -> None:
    """Both secrets are good in between, and one at each end; a client hears everything."""
    async with NatsServer(tmp_path / "nats") as nats, WebhookReceiver() as receiver:
        shop = Shop(tmp_path, nats, receiver)
        shop.write(OLD)
        async with shop.running(), connect(shop.url) as client:
            assert "pusher_internal:subscription_succeeded" == await _subscribe(client, OLD)
            for good in ((OLD,), (NEW, OLD), (NEW,)):
                await shop.reload(*good)
                for secret in (OLD, NEW):
                    assert (secret in good) == await _published(shop, secret)
                    assert (secret in good) == await _subscribed(shop, secret)
                # The oldest that is good signs what receivers get.
                webhook = await _webhook(shop, receiver, f"of-{len(good)}-{good[0]}")
                for secret in (OLD, NEW):
                    assert (secret == good[-1]) == _is_signed(webhook, secret)
            heard = [json.loads((await _next(client))["data"])["by"] for _ in range(8)]

    # By gRPC and by HTTP, in each of the steps.
    assert [OLD, OLD, OLD, OLD, NEW, NEW, NEW, NEW] == heard
