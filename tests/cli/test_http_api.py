"""The Pusher HTTP API of `pogo serve` and `pogo broker`, asked by Pusher's own SDK for Python."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pusher
import pytest
from pydantic import SecretStr

from pogo.settings import App
from tests.broker.http.helpers import BODY, sign
from tests.cli.process import Pogo
from tests.servers import HOST, NatsServer

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
ROOT = Path(__file__).parents[2]
APP = {"WS_APP_ID": "7", "WS_APP_SECRET": "secret-of-the-shop"}


def sdk(port: int, **options: object) -> Any:
    """Make a client of Pusher's SDK, which takes no id but a number."""
    app = {"app_id": "7", "key": "7", "secret": APP["WS_APP_SECRET"]}
    return pusher.Pusher(**app, host=HOST, port=port, ssl=False, **options)


async def ask(client: Any, port: int, env: Mapping[str, str], directory: Path) -> None:
    """Do all that the SDK can do, with somebody who listens on the edge at a port."""
    url = ("--url", f"{HOST}:{port}")
    async with Pogo(directory, "listen", "news", "private-a", *url, env=env) as listen:
        await listen.told("listening to private-a")
        triggered = await asyncio.to_thread(client.trigger, ["news", "private-a"], "e", {"a": 1})
        batch = [{"channel": "news", "name": "f", "data": "plain"}]
        batched = await asyncio.to_thread(client.trigger_batch, batch)
        lines = await listen.printed(3)
        channels = await asyncio.to_thread(client.channels_info, "private-")
        channel = await asyncio.to_thread(client.channel_info, "news", ["subscription_count"])
    users = await asyncio.to_thread(client.users_info, "presence-a")
    ended = await asyncio.to_thread(client.terminate_user_connections, "ada")
    with pytest.raises(pusher.errors.PusherBadRequest, match="only presence channels have users"):
        await asyncio.to_thread(client.users_info, "news")

    assert ({}, {}) == (triggered, batched)
    assert {'news  e  {"a": 1}', 'private-a  e  {"a": 1}', "news  f  plain"} == {
        "  ".join(line.split("  ")[1:]) for line in lines
    }
    assert {"channels": {"private-a": {}}} == channels
    assert {"occupied": True, "subscription_count": 1} == channel
    assert {"users": []} == users
    assert {} == ended


async def test_one_process(tmp_path: Path) -> None:
    """`pogo serve` answers on the WebSocket's port, beside its other pages."""
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=APP) as serve:
        port = int((await serve.logged("ready"))["url"].rpartition(":")[2])
        await ask(sdk(port), port, APP, tmp_path)
        async with aiohttp.ClientSession() as session:
            async with session.post(f"http://{HOST}:{port}/apps/7/events") as response:
                refused = (response.status, await response.json(), response.headers["Connection"])
            async with session.head(f"http://{HOST}:{port}/sockets/apps/7/events") as response:
                wrong = (response.status, response.headers["Allow"])
            odd = [
                (await session.get(f"http://{HOST}:{port}{path}")).content_type
                for path in ("//apps/7/channels", "/apps/7/channels/a%0Ab")
            ]
            async with session.get(f"http://{HOST}:{port}/up") as response:
                health = response.status

    assert (401, {"error": "auth_key is missing"}, "close") == refused
    assert (405, "POST") == wrong
    assert ["application/json"] * 2 == odd
    assert 200 == health


async def test_a_body_on_its_way_when_it_stops(tmp_path: Path) -> None:
    """`pogo serve` waits a moment for it, and then its client is told, not cut off."""
    path = "/apps/7/events"
    app = App(id="7", secret=SecretStr(APP["WS_APP_SECRET"]))
    head = f"POST {path}?{sign('POST', path, BODY, app=app)} HTTP/1.1\r\nHost: test\r\n"
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=APP) as serve, asyncio.timeout(20):
        port = int((await serve.logged("ready"))["url"].rpartition(":")[2])
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"{head}Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n".encode())
        await reader.readuntil(b"100 Continue\r\n\r\n")
        stopping = asyncio.create_task(serve.stop())
        answer = await reader.read()
        writer.close()

        assert 0 == await stopping
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_processes_apart(tmp_path: Path) -> None:
    """`pogo broker` answers on a port of its own, and asks the edges over the bus."""
    async with NatsServer(tmp_path / "nats") as nats:
        env = {"POGO_BUS": "nats", "POGO_NATS_URL": nats.url, **APP}
        async with (
            Pogo(tmp_path, "edge", "--port", "0", "--metrics-port", "0", env=env) as edge,
            Pogo(tmp_path, "broker", *ANY_PORT, env=env) as broker,
        ):
            port = int((await edge.logged("ready"))["port"])
            api = int((await broker.logged("ready"))["port"])
            await ask(sdk(api), port, APP, tmp_path)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{HOST}:{api}/pogo/health") as response,
            ):
                health = (response.status, await response.json())
            code = await broker.stop()

    assert (200, {"status": "ok"}) == health
    assert 0 == code
    assert [] == [line for line in broker.err if '"level": "error"' in line]


async def test_the_documented_example(tmp_path: Path) -> None:
    """What docs/http-api.md shows in Python works as it stands, but for the port."""
    page = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python$(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    env = {"POGO_APP_ID": "7", "POGO_APP_KEY": "app-key", "POGO_APP_SECRET": "app-secret"}
    async with Pogo(tmp_path, "serve", *ANY_PORT, env=env) as serve:
        port = (await serve.logged("ready"))["url"].rpartition(":")[2]
        assert "port=8080" in example
        url = ("--url", f"{HOST}:{port}")
        async with Pogo(tmp_path, "listen", "news", *url, env=env) as listen:
            await listen.told("listening to news")
            await asyncio.to_thread(exec, example.replace("port=8080", f"port={port}"), {})
            (line,) = await listen.printed(1)

    assert line.endswith('news  headline  {"title": "Hello"}')
