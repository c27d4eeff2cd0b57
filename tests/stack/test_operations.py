"""What whoever runs the stack does with it. It is the same on every bus."""

import http.client
import json
import ssl
import urllib.request
from http import HTTPStatus

import pytest
from websockets.sync.client import connect

from tests.documents import documented
from tests.stack.conftest import LogIn
from tests.stack.orders import publish_by_python, wait_to_show, wait_until
from tests.stack.stack import EDGES, Stack

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


def test_a_name_makes_it_https(stack: Stack) -> None:
    """With SITE the gateway has a certificate, browsers are sent to https, and wss works."""
    up = ("up", "--detach", "--wait", "--no-deps", "gateway")
    stack.compose(*up, SITE="localhost")
    root = "/data/caddy/pki/authorities/local/root.crt"
    context = ssl.create_default_context(cadata=stack.compose("exec", "-T", "gateway", "cat", root))
    key = stack.environment("broker")["POGO_APP_KEY"]
    address = f"localhost:{stack.https_port}"
    with connect(f"wss://{address}/app/{key}?protocol=7", ssl=context) as socket:
        assert "pusher:connection_established" == json.loads(socket.recv())["event"]
    with urllib.request.urlopen(f"https://{address}/", context=context) as page:
        assert HTTPStatus.OK == page.status
    plain = http.client.HTTPConnection("localhost", stack.port)
    plain.request("GET", "/")
    sent = plain.getresponse()
    plain.close()

    assert (HTTPStatus.PERMANENT_REDIRECT, "https://localhost/") == (
        sent.status,
        sent.headers["Location"],
    )
    stack.compose(*up)


def test_edges_are_replaced_one_by_one(stack: Stack, log_in: LogIn) -> None:
    """Windows see everybody all the time, and are on the new edges in the end."""
    windows = [log_in(user) for user in ("ada", "bob", "eve")]
    before = {name: stack.inspect(name)["Id"] for name in stack.containers("edge")}
    stack.type(documented("docs/compose.md", "Upgrading", "sh"), timeout=300)
    after = {stack.inspect(name)["Id"] for name in stack.containers("edge")}

    assert len(before) == len(after)
    assert after.isdisjoint(before.values())
    for window in windows:
        window.wait_for("#connection[data-state=connected]")
        for user in ("ada", "bob", "eve"):
            window.wait_for(f"#members li:text-is('{user}')")
    publish_by_python(stack, "Scones from the new ones")
    for window in windows:
        wait_to_show(window, "Scones from the new ones")
