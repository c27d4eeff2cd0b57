"""What whoever runs the stack does with it. It is the same on every bus."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.documents import documented
from tests.e2e.clients import PusherClient
from tests.e2e.driver import running_driver
from tests.e2e.window import Window
from tests.stack.conftest import LogIn
from tests.stack.orders import log_in_at, publish_by_python, wait_to_show, wait_until
from tests.stack.stack import EDGES, Stack

# What a window sees from then on: for how many seconds it was without a connection, each time, and
# how few members there were.
_WATCH = """
globalThis.gaps = [];
globalThis.fewest = Infinity;
let since = null;
const [connection, members] = ["connection", "members"].map((id) => document.getElementById(id));
new MutationObserver(() => {
  if (connection.dataset.state !== "connected") {
    since ??= performance.now();
  } else if (since !== null) {
    gaps.push((performance.now() - since) / 1000);
    since = null;
  }
}).observe(connection, { attributes: true });
new MutationObserver(() => {
  fewest = Math.min(fewest, members.children.length);
}).observe(members, { childList: true });
"""
# An edge tells its clients to come back, and they do so at once.
_LONGEST_GAP = 5.0

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("bus", ["nats"], indirect=True, scope="session"),
]


def test_prometheus_finds_every_container(stack: Stack) -> None:
    """Each process of Pogo is a target of its own, and answers."""
    stack.compose("--profile", "observability", "up", "--detach", "--wait", "prometheus")
    page = "http://127.0.0.1:9090/api/v1/targets?state=active"
    prometheus = ("exec", "-T", "prometheus", "wget", "-q", "-O", "-", page)

    def healthy() -> list[str]:
        targets = json.loads(stack.compose(*prometheus))["data"]["activeTargets"]
        return sorted(each["labels"]["job"] for each in targets if each["health"] == "up")

    wait_until(lambda: healthy() == ["authsvc", *["broker"] * 2, *["edge"] * EDGES])


def test_the_doctor_finds_nothing_wrong(stack: Stack) -> None:
    """Asked within a container, as documented, it reaches every part."""
    told = stack.type(documented("docs/troubleshooting.md", "What the doctor says", "sh"))

    assert [] == [line for line in told.splitlines() if line.startswith("wrong")]
    for name in ("bus", "registry", "nodes", "edge", "http api", "broker", "auth service"):
        assert f"ok       {name} " in told


@pytest.fixture(name="root")
def _root(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """Make it https, as documented, and keep the certificate of the gateway's authority."""
    stack.type(documented("docs/compose.md", "In front of users", "sh"))
    try:
        root = tmp_path / "root.crt"
        root.write_text(stack.type(documented("docs/compose.md", "In front of users", "sh", 1)))
        yield root
    finally:
        stack.compose("up", "--detach", "--wait", "--no-deps", "gateway")


def _redirected(port: int, path: str) -> tuple[int, str | None]:
    """Ask by plain http, and return where one is sent."""
    plain = http.client.HTTPConnection("localhost", port)
    try:
        plain.request("GET", path)
        answer = plain.getresponse()
        return answer.status, answer.headers["Location"]
    finally:
        plain.close()


def test_a_name_makes_it_https(stack: Stack, root: Path, tmp_path: Path) -> None:
    """pusher-js, which believes the authority, and a page are served by wss and https alone."""
    with running_driver({"NODE_EXTRA_CA_CERTS": str(root)}) as driver:
        client = PusherClient(driver, "node", "by-tls", "ada")
        options = {
            "wsHost": "localhost",
            "wssPort": stack.https_port,
            "forceTLS": True,
            "enabledTransports": ["ws", "wss"],
            "cluster": "",
        }
        key = stack.environment("broker")["POGO_APP_KEY"]
        client.order("connect", key=key, options=options)
        client.take("state:connected")
        client.join("news")
        stack.type("docker compose exec broker pogo publish news headline '{}'")
        assert {} == client.take("headline", "news").data
        client.order("disconnect")

        driver.launch_browser()
        url = f"https://localhost:{stack.https_port}"
        window = Window(driver, "desk-by-tls", url, tmp_path, any_certificate=True)
        log_in_at(window, "ada")
        window.click("#place")
        window.wait_for("#orders .new small:text-is('ada, from PHP')")
        complaints = window.complaints()
        window.close()

    assert [] == complaints
    assert (HTTPStatus.PERMANENT_REDIRECT, "https://localhost/x") == _redirected(stack.port, "/x")
    assert f"open {url}" in stack.logged(stack.containers("gateway")[0])


def test_the_application_is_away(stack: Stack, log_in: LogIn) -> None:
    """Users are told what happened, then and when it is back with none of its sessions."""
    window = log_in("ada")
    stack.kill(stack.containers("php")[0])
    window.click("#place")
    window.wait_for("#placed:text-is('not placed: the application answered 502')")
    window.wait_for("#connection[data-state=connected]")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(stack.url)  # noqa: S310 (ours)
    with caught.value as answer:
        assert b"502 Bad Gateway: try again in a moment." == answer.read()

    stack.compose("up", "--detach", "--wait", "--no-deps", "php")
    window.click("#place")
    window.wait_for("#placed:text-is('you are logged out: load the page again')")


def _see(window: Window, *users: str) -> None:
    """Wait until a window shows these users at the desk."""
    for user in users:
        window.wait_for(f"#members li:text-is('{user}')")


def test_edges_are_replaced_one_by_one(stack: Stack, log_in: LogIn) -> None:
    """Windows lose their connection for moments only, nobody leaves, and all see what is new."""
    windows = [log_in(user) for user in ("ada", "bob", "eve")]
    for window in windows:
        _see(window, "ada", "bob", "eve")
        window.evaluate(_WATCH)
    before = {name: stack.inspect(name)["Id"] for name in stack.containers("edge")}
    stack.type(documented("docs/compose.md", "Upgrading", "sh"), timeout=300)
    after = {stack.inspect(name)["Id"] for name in stack.containers("edge")}

    assert len(before) == len(after)
    assert after.isdisjoint(before.values())
    for window in windows:
        window.wait_for("#connection[data-state=connected]")
        _see(window, "ada", "bob", "eve")
    publish_by_python(stack, "Scones from the new ones")
    for window in windows:
        wait_to_show(window, "Scones from the new ones")
        assert 0 < max(window.evaluate("gaps")) < _LONGEST_GAP
        assert len(windows) == window.evaluate("fewest")
