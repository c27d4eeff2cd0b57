import json
from collections.abc import AsyncIterator
from importlib.resources import files

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from pogo.broker.status import Outcome
from pogo.cli.demo import demo_pages
from pogo.pusher.signatures import verify_channel
from pogo.rpc.v1.status import StatusCode
from pogo.settings import App

_SECRET = "secret-of-the-demo"
_JSON = {"Content-Type": "application/json"}
_VISITOR = {"socket_id": "1.2", "channel_name": "presence-room", "user_id": "0123456789abcdef"}


@pytest.fixture(name="published")
def _published() -> list[tuple[str, str, str]]:
    """What the pages published."""
    return []


@pytest.fixture(name="visitor")
async def _visitor(
    published: list[tuple[str, str, str]],
) -> AsyncIterator[aiohttp.ClientSession]:
    """Visit the pages, served without an edge around them."""

    async def publish(channel: str, event: str, data: str) -> Outcome:
        published.append((channel, event, data))
        if event == "refused":
            return Outcome(StatusCode.INVALID_PAYLOAD_JSON, "the data is not JSON text")
        return Outcome(StatusCode.SUCCESS)

    app = App(id="demo", key="demo-key", secret=SecretStr(_SECRET))
    runner = web.AppRunner(demo_pages(app, publish))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await runner.cleanup()


async def test_the_page_brings_all_it_needs(visitor: aiohttp.ClientSession) -> None:
    """Its files come from here, and its policy lets nothing else in."""
    paths = {
        "/": "text/html",
        "/demo/demo.css": "text/css",
        "/demo/demo.js": "text/javascript",
        "/demo/pusher.min.js": "text/javascript",
    }
    for path, content_type in paths.items():
        async with visitor.get(path) as response:
            body = await response.text()
            policy = response.headers["Content-Security-Policy"]

        assert (200, content_type) == (response.status, response.content_type)
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "https://" not in body or path == "/demo/pusher.min.js"
    async with visitor.get("/demo/app") as response:
        assert {"key": "demo-key"} == await response.json()


def test_pusher_js_comes_with_its_licence() -> None:
    """The file is the one of the npm package, version 8.6.0, and MIT wants its text beside it."""
    static = files("pogo.cli.demo") / "static"

    assert '"8.6.0"' in static.joinpath("pusher.min.js").read_text()
    assert "Permission is hereby granted" in static.joinpath("pusher-js.LICENCE").read_text()


async def test_the_box_publishes_and_shows_the_status(
    visitor: aiohttp.ClientSession, published: list[tuple[str, str, str]]
) -> None:
    """Always on the demo's own channel, whatever is sent along."""
    body = json.dumps({"event": "hello", "data": "{}"})
    async with visitor.post("/demo/publish", data=body, headers=_JSON) as response:
        assert {"status": 0, "reason": "success", "detail": ""} == await response.json()
    body = json.dumps({"event": "refused", "data": "{"})
    async with visitor.post("/demo/publish", data=body, headers=_JSON) as response:
        assert {
            "status": 5,
            "reason": "invalid_payload_json",
            "detail": "the data is not JSON text",
        } == await response.json()

    assert [("my-channel", "hello", "{}"), ("my-channel", "refused", "{")] == published


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ('{"event": "e", "data": "1"}', "text/plain", 415),
        ("event=e&data=1", "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ('{"event": "e", "data": {}}', "application/json", 400),
        ('{"event": "e", "data": "1", "channel": "other"}', "application/json", 400),
        ('"' + "x" * 70_000 + '"', "application/json", 413),
    ],
)
async def test_the_box_takes_only_what_the_page_sends(
    visitor: aiohttp.ClientSession,
    published: list[tuple[str, str, str]],
    body: str,
    content_type: str,
    status: int,
) -> None:
    """A page of another site can send no JSON content type, so it cannot publish here."""
    headers = {"Content-Type": content_type}
    async with visitor.post("/demo/publish", data=body, headers=headers) as response:
        assert status == response.status

    assert [] == published


async def test_the_signer_lets_anyone_into_the_room(visitor: aiohttp.ClientSession) -> None:
    """Under the name that they give, as a member with the id of their window."""
    async with visitor.post("/demo/auth", data={**_VISITOR, "name": " Ada "}) as response:
        answer = await response.json()

    assert {
        "user_id": "0123456789abcdef",
        "user_info": {"name": "Ada"},
    } == json.loads(answer["channel_data"])
    assert verify_channel(
        answer["auth"],
        key="demo-key",
        secrets=[_SECRET.encode()],
        socket_id="1.2",
        channel="presence-room",
        channel_data=answer["channel_data"],
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"channel_name": "private-accounts"}, 403),
        ({"channel_name": "presence-other"}, 403),
        ({"channel_name": ""}, 403),
        ({"socket_id": "1.2:presence-other"}, 400),
        ({"user_id": "admin"}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 41}, 400),
    ],
)
async def test_the_signer_signs_nothing_else(
    visitor: aiohttp.ClientSession, changes: dict[str, str], status: int
) -> None:
    """Only the demo's room, for a socket id and a member that look like the page's."""
    async with visitor.post("/demo/auth", data={**_VISITOR, "name": "Ada", **changes}) as response:
        assert status == response.status
        assert "auth" not in await response.text()


async def test_the_signer_survives_bytes_that_are_no_form(visitor: aiohttp.ClientSession) -> None:
    """Whatever the body and its content type, it is the client's fault."""
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=none"}
    async with visitor.post("/demo/auth", data=b"\xff\x00&=&", headers=headers) as response:
        assert 403 == response.status
