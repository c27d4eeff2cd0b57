"""Pusher's SDKs for servers, as they are on npm and on PyPI, and what a back end does with them.

Each has the application's two end points beside it, which sign by the SDK alone what pusher-js asks
for. Who asks is told by the form field `user`, where a real application has a session.
"""

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs

import pusher
import pusher.errors

from tests.e2e.application import MASTER_KEY, Application
from tests.e2e.driver import Driver
from tests.servers import HOST

Answer = dict[str, Any]


class SdkError(Exception):
    """The server refused a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


class Sdk(Protocol):
    """What both SDKs can do. What has no answer but success returns `{}`.

    Every method that sends a request raises an `SdkError` where it is refused.
    """

    auth_url: str
    """Where `/auth` and `/user-auth` are signed."""

    def trigger(self, channels: Sequence[str], event: str, data: object, **more: str) -> Answer:
        """Publish an event; `more` is `socket_id`, and `info` where the SDK knows that."""

    def trigger_batch(self, batch: Sequence[Mapping[str, object]]) -> Answer:
        """Publish several events."""

    def channels(self, prefix: str = "", info: str = "") -> Answer:
        """Ask for occupied channels."""

    def channel(self, name: str, info: str = "") -> Answer:
        """Ask about a channel."""

    def users(self, channel: str) -> Answer:
        """Ask who is on a presence channel."""

    def send_to_user(self, user_id: str, event: str, data: object) -> Answer:
        """Publish to a signed-in user."""

    def terminate(self, user_id: str) -> Answer:
        """End all connections of a user."""

    def webhook(self, headers: Mapping[str, str], body: str) -> Answer | None:
        """Return what a webhook says, by headers in lower case; `None` if it is not genuine."""


class NodeSdk:
    """The package `pusher` of npm, which runs in the driver."""

    def __init__(self, driver: Driver, port: int, application: Application) -> None:
        self._driver = driver
        options = {
            "appId": application.app_id,
            "key": application.key,
            "secret": application.secret,
            "host": HOST,
            "port": str(port),
            "useTLS": False,
            "encryptionMasterKeyBase64": base64.b64encode(MASTER_KEY).decode(),
        }
        self._sdk = driver.call("sdk", "open", options=options)
        self.auth_url = f"http://{HOST}:{self._sdk}"

    def close(self) -> None:
        """Sign nothing more."""
        self._driver.call("sdk", "close", sdk=self._sdk)

    def trigger(self, channels: Sequence[str], event: str, data: object, **more: str) -> Answer:
        """Publish an event."""
        return self._call("trigger", channels, event, data, more)

    def trigger_batch(self, batch: Sequence[Mapping[str, object]]) -> Answer:
        """Publish several events."""
        return self._call("triggerBatch", batch)

    def channels(self, prefix: str = "", info: str = "") -> Answer:
        """Ask for occupied channels."""
        return self._get("/channels", filter_by_prefix=prefix, info=info)

    def channel(self, name: str, info: str = "") -> Answer:
        """Ask about a channel."""
        return self._get(f"/channels/{name}", info=info)

    def users(self, channel: str) -> Answer:
        """Ask who is on a presence channel."""
        return self._get(f"/channels/{channel}/users")

    def send_to_user(self, user_id: str, event: str, data: object) -> Answer:
        """Publish to a signed-in user."""
        return self._call("sendToUser", user_id, event, data)

    def terminate(self, user_id: str) -> Answer:
        """End all connections of a user."""
        return self._call("terminateUserConnections", user_id)

    def webhook(self, headers: Mapping[str, str], body: str) -> Answer | None:
        """Return the content of a webhook."""
        content: Answer | None = self._driver.call(
            "sdk", "webhook", sdk=self._sdk, headers=dict(headers), body=body
        )
        return content

    def _get(self, path: str, **params: str) -> Answer:
        given = {name: value for name, value in params.items() if value}
        return self._call("get", {"path": path, "params": given})

    def _call(self, method: str, *arguments: object) -> Answer:
        answer = self._driver.call("sdk", "call", sdk=self._sdk, method=method, args=arguments)
        if answer["status"] != 200:
            raise SdkError(answer["status"], answer["text"])
        content: Answer = json.loads(answer["text"])
        return content


class PythonSdk:
    """The package `pusher` of PyPI, which runs in the tests."""

    def __init__(self, port: int, application: Application, auth_url: str) -> None:
        self.auth_url = auth_url
        self._pusher = pusher.Pusher(
            app_id=application.app_id,
            key=application.key,
            secret=application.secret,
            host=HOST,
            port=port,
            ssl=False,
            encryption_master_key_base64=base64.b64encode(MASTER_KEY).decode(),
        )

    def sign(self, path: str, form: Mapping[str, str]) -> Answer:
        """Sign what pusher-js asks for."""
        user = form["user"]
        if path == "/user-auth":
            user_data = {"id": user, "user_info": {"name": user}}
            signed: Answer = self._pusher.authenticate_user(form["socket_id"], user_data)
            return signed
        channel = form["channel_name"]
        member = {"user_id": user, "user_info": {"name": user}}
        own = member if channel.startswith("presence-") else None
        answer: Answer = self._pusher.authenticate(channel, form["socket_id"], own)
        if "shared_secret" in answer:
            # The SDK leaves it to the application to make text of it.
            answer["shared_secret"] = answer["shared_secret"].decode()
        return answer

    def trigger(self, channels: Sequence[str], event: str, data: object, **more: str) -> Answer:
        """Publish an event."""
        return self._call("trigger", channels, event, data, **more)

    def trigger_batch(self, batch: Sequence[Mapping[str, object]]) -> Answer:
        """Publish several events."""
        # The SDK writes into what it is given.
        return self._call("trigger_batch", [dict(item) for item in batch])

    def channels(self, prefix: str = "", info: str = "") -> Answer:
        """Ask for occupied channels."""
        return self._call("channels_info", prefix or None, _attributes(info))

    def channel(self, name: str, info: str = "") -> Answer:
        """Ask about a channel."""
        return self._call("channel_info", name, _attributes(info))

    def users(self, channel: str) -> Answer:
        """Ask who is on a presence channel."""
        return self._call("users_info", channel)

    def send_to_user(self, user_id: str, event: str, data: object) -> Answer:
        """Publish to a signed-in user."""
        return self._call("send_to_user", user_id, event, data)

    def terminate(self, user_id: str) -> Answer:
        """End all connections of a user."""
        return self._call("terminate_user_connections", user_id)

    def webhook(self, headers: Mapping[str, str], body: str) -> Answer | None:
        """Return the content of a webhook."""
        content: Answer | None = self._pusher.validate_webhook(
            headers["x-pusher-key"], headers["x-pusher-signature"], body
        )
        return content

    def _call(self, method: str, *arguments: object, **more: str) -> Answer:
        try:
            answer: Answer = getattr(self._pusher, method)(*arguments, **more)
        except pusher.errors.PusherBadRequest as error:
            raise SdkError(400, str(error)) from error
        except pusher.errors.PusherBadAuth as error:
            raise SdkError(401, str(error)) from error
        return answer


def _attributes(info: str) -> list[str]:
    return info.split(",") if info else []


class _Handler(BaseHTTPRequestHandler):
    """The application's end points beside the Python SDK."""

    sdk: PythonSdk

    def do_POST(self) -> None:
        """Sign."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(text).items()}
        body = json.dumps(self.sdk.sign(self.path, form)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Keep quiet."""


@contextmanager
def python_sdk(port: int, application: Application) -> Iterator[PythonSdk]:
    """Run the application's end points beside the SDK of PyPI, for the API at a port."""
    with ThreadingHTTPServer((HOST, 0), _Handler) as server:
        sdk = PythonSdk(port, application, f"http://{HOST}:{server.server_port}")
        server.RequestHandlerClass = type("_Bound", (_Handler,), {"sdk": sdk})
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sdk
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def node_sdk(driver: Driver, port: int, application: Application) -> Iterator[NodeSdk]:
    """Run the application's end points beside the SDK of npm, for the API at a port."""
    sdk = NodeSdk(driver, port, application)
    try:
        yield sdk
    finally:
        sdk.close()
