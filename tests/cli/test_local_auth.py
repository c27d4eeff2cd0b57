import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from pogo.authsvc import Auth
from pogo.cli.local_auth import LocalAuthService
from pogo.pusher.signatures import sign_channel
from tests.edge.helpers import KEY, SECRET, Client, make_settings, running_edge
from tests.servers import HOST

ORIGIN = "https://shop.example"


@contextlib.asynccontextmanager
async def _slow_worker(at_a_time: int, seconds: float) -> AsyncIterator[str]:
    """Run an application that signs everything, a few at a time; yields its address."""
    hands = asyncio.Semaphore(at_a_time)

    async def sign(request: web.Request) -> web.Response:
        form = await request.post()
        socket_id, channel = str(form["socket_id"]), str(form["channel_name"])
        async with hands:
            await asyncio.sleep(seconds)
        signature = sign_channel(SECRET.encode(), socket_id, channel, None)
        return web.json_response({"auth": f"{KEY}:{signature}"})

    application = web.Application()
    application.router.add_post("/pogo/auth", sign)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _subscribed(client: Client) -> str:
    await client.send("pusher:subscribe", {"channel": "private-news", "auth": ""})
    return str((await client.receive())["event"])


@pytest.mark.timeout(60)
async def test_all_clients_at_once() -> None:
    """More clients than the auth service takes at a time are all let in, one after the other."""
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(_slow_worker(4, 0.03))
        auth = Auth(make_settings(auth_upstream=upstream), CollectorRegistry())
        stack.push_async_callback(auth.close)
        edge = await stack.enter_async_context(
            running_edge(
                local_auth=LocalAuthService(auth),
                subscribe_without_auth=True,
                allowed_origins=[ORIGIN],
            )
        )
        clients = [
            await stack.enter_async_context(Client(edge.url(), origin=ORIGIN)) for _ in range(200)
        ]
        answers = await asyncio.gather(*map(_subscribed, clients))

        assert {"pusher_internal:subscription_succeeded"} == set(answers)
