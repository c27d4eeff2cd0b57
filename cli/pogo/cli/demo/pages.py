"""The demo's HTTP end points: its static files, a publish box, and a signer.

The signer lets anyone into one room under any name. It exists only here, for the demo's own
channels: a real application signs channels for the users it knows.
"""

import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web

from pogo.broker.status import Outcome
from pogo.pusher.handshake import is_socket_id
from pogo.pusher.signatures import sign_channel
from pogo.settings import App

PUBLIC_CHANNEL = "my-channel"
"""What the publish box publishes to."""

ROOM = "presence-room"
"""The only channel that the signer signs."""

Publish = Callable[[str, str, str], Awaitable[Outcome]]
"""Publishes on a channel an event with its data, the way of all publishing."""

_MAX_BODY = 65_536
"""Bytes of one request."""

_FILES = {
    "/": ("index.html", "text/html"),
    "/demo/demo.css": ("demo.css", "text/css"),
    "/demo/demo.js": ("demo.js", "text/javascript"),
    "/demo/pusher.min.js": ("pusher.min.js", "text/javascript"),
}

_HEADERS = {
    hdrs.CACHE_CONTROL: "no-cache",
    hdrs.X_CONTENT_TYPE_OPTIONS: "nosniff",
    # Not every browser counts the WebSocket of the same origin as 'self'.
    hdrs.CONTENT_SECURITY_POLICY: (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}

_USER_ID = re.compile(r"[0-9a-f]{16}")
_MAX_NAME = 40


class _Publication(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    data: str


def demo_pages(app: App, publish: Publish) -> web.Application:
    """Make the pages for one app, which must have no users but those of the demo."""
    pages = web.Application(client_max_size=_MAX_BODY)
    for path, (name, content_type) in _FILES.items():
        pages.router.add_get(path, _file_handler(name, content_type))

    async def show_app(_: web.Request) -> web.Response:
        return web.json_response({"key": app.key}, headers=_HEADERS)

    async def publish_event(request: web.Request) -> web.Response:
        # A page of another site cannot send this content type without being asked first.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="send application/json")
        try:
            given = msgspec.json.decode(await request.read(), type=_Publication)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        outcome = await publish(PUBLIC_CHANNEL, given.event, given.data)
        answer = {
            "status": outcome.status,
            "reason": outcome.status.name.lower(),
            "detail": outcome.detail,
        }
        return web.json_response(answer, headers=_HEADERS)

    async def sign(request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode(errors="replace")))
        if form.get("channel_name") != ROOM:
            raise web.HTTPForbidden(text=f"the demo signs {ROOM} only")
        socket_id, user_id, name = (
            form.get(field, "").strip() for field in ("socket_id", "user_id", "name")
        )
        if not is_socket_id(socket_id) or not _USER_ID.fullmatch(user_id):
            raise web.HTTPBadRequest(text="socket_id and user_id should be those of the page")
        if not 1 <= len(name) <= _MAX_NAME:
            raise web.HTTPBadRequest(text=f"a name has 1 to {_MAX_NAME} characters")
        member = {"user_id": user_id, "user_info": {"name": name}}
        channel_data = msgspec.json.encode(member).decode()
        secret = app.secret.get_secret_value().encode()
        signature = sign_channel(secret, socket_id, ROOM, channel_data)
        answer = {"auth": f"{app.key}:{signature}", "channel_data": channel_data}
        return web.json_response(answer, headers=_HEADERS)

    pages.router.add_get("/demo/app", show_app)
    pages.router.add_post("/demo/publish", publish_event)
    pages.router.add_post("/demo/auth", sign)
    return pages


def _file_handler(name: str, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    body = files("pogo.cli.demo").joinpath("static", name).read_bytes()

    async def show_file(_: web.Request) -> web.Response:
        headers = {**_HEADERS, hdrs.CONTENT_TYPE: f"{content_type}; charset=utf-8"}
        return web.Response(body=body, headers=headers)

    return show_file
