"""The customer's application, as far as clients meet it: it signs what its users may subscribe to.

It runs in a thread of the tests and does its own signing, as every back end does, so that nothing
of Pogo takes part. Who asks is told by the form field `user`, where a real application has a
session.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

MASTER_KEY = b"0123456789abcdef0123456789abcdef"
_PAGE = b"<!doctype html><title>The application</title>"


@dataclass(frozen=True, slots=True)
class Application:
    """One app of the server under test, and where its own web server listens."""

    app_id: str
    key: str
    secret: str
    url: str

    def auth(self, socket_id: str, channel: str, user: str) -> dict[str, str]:
        """Answer pusher-js's request to authorize a channel. No user, no `channel_data`."""
        parts = [socket_id, channel]
        answer = {}
        if channel.startswith("presence-") and user:
            answer["channel_data"] = json.dumps({"user_id": user, "user_info": _info(user)})
            parts.append(answer["channel_data"])
        if channel.startswith("private-encrypted-"):
            answer["shared_secret"] = self.shared_secret(channel)
        return {"auth": self._sign(":".join(parts)), **answer}

    def user_auth(self, socket_id: str, user: str, watchlist: str = "") -> dict[str, str]:
        """Answer pusher-js's request to sign a user in, who watches users `a,b,c`."""
        watched = {"watchlist": watchlist.split(",")} if watchlist else {}
        user_data = json.dumps({"id": user, "user_info": _info(user), **watched})
        return {"auth": self._sign(f"{socket_id}::user::{user_data}"), "user_data": user_data}

    def shared_secret(self, channel: str) -> str:
        """Derive an encrypted channel's key, in base64, as Pusher's libraries do."""
        return base64.b64encode(hashlib.sha256(channel.encode() + MASTER_KEY).digest()).decode()

    def _sign(self, text: str) -> str:
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256)
        return f"{self.key}:{digest.hexdigest()}"


def _info(user: str) -> dict[str, str]:
    return {"name": user.title()}


class _Handler(BaseHTTPRequestHandler):
    """Takes the form-encoded requests that pusher-js makes."""

    application: Application

    def do_GET(self) -> None:
        """Give the page that the clients in Chromium run in."""
        self._answer(HTTPStatus.OK, "text/html", _PAGE)

    def do_POST(self) -> None:
        """Sign; refuse the user `stranger`, and sign with another secret for `forger`."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        user = form.get("user", "")
        application = self.application
        if user == "stranger":
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"You are not allowed in here")
            return
        if user == "forger":
            application = replace(application, secret="guessed")
        if self.path == "/auth":
            signed = application.auth(form["socket_id"], form["channel_name"], user)
        else:
            watchlist = form.get("watchlist", "")
            signed = application.user_auth(form["socket_id"], user, watchlist)
        self._answer(HTTPStatus.OK, "application/json", json.dumps(signed).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Keep quiet."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_application(app_id: str, key: str, secret: str) -> Iterator[Application]:
    """Run the application's web server: `/auth`, `/user-auth`, and an empty page elsewhere."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        application = Application(app_id, key, secret, url)
        server.RequestHandlerClass = type("_Bound", (_Handler,), {"application": application})
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield application
        finally:
            server.shutdown()
            thread.join()
