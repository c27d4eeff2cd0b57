"""The whole stack in containers, used by browsers and back ends through its gateway."""

import json
import urllib.error
import urllib.request
from http import HTTPStatus

import pytest

from tests.stack.conftest import LogIn
from tests.stack.engine import EngineError
from tests.stack.orders import (
    PATIENCE,
    publish_by_http,
    publish_by_python,
    wait_to_show,
    wait_until,
)
from tests.stack.stack import EDGES, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

OURS = ("edge", "broker", "authsvc")


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 (ours)
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_orders_arrive_from_everywhere(stack: Stack, log_in: LogIn) -> None:
    """Windows of two users see what PHP, Python and an SDK for the HTTP API publish."""
    ada, bob = log_in("ada"), log_in("bob")
    ada.click("#place")
    ada.wait_for("#placed[data-state=good]")
    publish_by_python(stack, "Tea from Python")
    publish_by_http(stack, "Cocoa by HTTP")

    for window in (ada, bob):
        window.wait_for("#orders .new small:text-is('ada, from PHP')")
        wait_to_show(window, "Tea from Python")
        wait_to_show(window, "Cocoa by HTTP")
        assert [] == window.complaints()


def test_everybody_sees_who_is_there(log_in: LogIn) -> None:
    """Members are those of the whole cluster; who leaves is gone."""
    windows = [log_in(user) for user in ("ada", "bob", "eve")]
    for window in windows:
        for user in ("ada", "bob", "eve"):
            window.wait_for(f"#members li:text-is('{user}')")
    windows.pop().close()

    for window in windows:
        window.wait_for("#members li:text-is('eve')", gone=True)


def test_strangers_are_not_let_in(stack: Stack) -> None:
    """Who is not logged in gets no signature, and who knows no secret publishes nothing."""
    form = b"socket_id=1.2&channel_name=private-orders"
    for path, status in (
        ("/pogo/auth", HTTPStatus.FORBIDDEN),
        ("/apps/1001/events", HTTPStatus.UNAUTHORIZED),
    ):
        request = urllib.request.Request(f"{stack.url}{path}", form)  # noqa: S310 (ours)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310 (the same)
        with caught.value:
            assert status == caught.value.code


@pytest.mark.parametrize("path", ["/metrics", "/up", "/pogo/health", "/index.php/x", "/.env"])
def test_nothing_else_is_public(stack: Stack, path: str) -> None:
    """What is for operators is not passed on."""
    assert HTTPStatus.NOT_FOUND == _status(f"{stack.url}{path}")


def test_containers_are_confined(stack: Stack) -> None:
    """The engine has done what compose.yaml says, and our services have no way to write."""
    containers = stack.containers()
    assert EDGES == len(stack.containers("edge"))
    for container in containers:
        host = stack.inspect(container)["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert ["ALL"] == host["CapDrop"]
        assert ["no-new-privileges:true"] == host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
    for service in OURS:
        with pytest.raises(EngineError, match="Read-only file system"):
            stack.compose("exec", "-T", service, "touch", "/tmp/x")  # noqa: S108 (not ours)
        assert "10001\n" == stack.compose("exec", "-T", service, "id", "-u")


def test_edges_have_their_loop_in_c(stack: Stack) -> None:
    """It was compiled for the image, in which no compiler is left."""
    for edge in stack.containers("edge"):
        assert 1 == stack.metric(edge, "pogo_websocket_edge_speedups")
    with pytest.raises(EngineError):
        stack.compose("exec", "-T", "edge", "sh", "-c", "command -v cc gcc make")


def test_first_line_of_the_log(stack: Stack, bus: str) -> None:
    """Who runs on the secrets of development says so first; who does not is silent about them."""
    for service in OURS:
        for container in stack.containers(service):
            first, *others = stack.logged(container)
            assert ("secrets of development" in first) is (bus == "nats")
            assert [] == [line for line in others if "secrets of development" in line]


def test_it_says_what_to_open(stack: Stack) -> None:
    """Whoever brings the stack up finds its address in the log, under a name that browsers have."""
    (gateway,) = stack.containers("gateway")

    assert f"open http://localhost:{stack.port}" == stack.logged(gateway)[0]


def test_clients_survive_an_edge(stack: Stack, log_in: LogIn) -> None:
    """An edge is killed; its clients come back to another one, and see what happens then."""
    windows = [log_in(user) for user in ("ada", "bob", "eve")]
    edges = stack.containers("edge")
    wait_until(lambda: sum(map(stack.connections, edges)) == len(windows))
    victim = max(edges, key=stack.connections)
    assert stack.connections(victim) > 0

    stack.kill(victim)
    edges.remove(victim)
    wait_until(lambda: sum(map(stack.connections, edges)) == len(windows))
    for window in windows:
        window.wait_for("#connection[data-state=connected]")
        for user in ("ada", "bob", "eve"):
            window.wait_for(f"#members li:text-is('{user}')")
    publish_by_python(stack, "Toast afterwards")

    for window in windows:
        wait_to_show(window, "Toast afterwards")


def test_nobody_was_refused_by_the_bus(stack: Stack) -> None:
    """All that the services do, their users may do; and nobody logged an error."""
    for container in stack.containers():
        log = "\n".join(stack.logged(container)).lower()
        assert "violation" not in log
        assert "noperm" not in log
    for service in OURS:
        for container in stack.containers(service):
            levels = {json.loads(line)["level"] for line in stack.logged(container)}
            assert levels <= {"info", "warning"}


def test_everything_stops_in_time_and_nothing_is_left(stack: Stack, log_in: LogIn) -> None:
    """Nobody has to be killed, and `docker compose down` removes all."""
    log_in("ada")
    containers = [name for service in (*OURS, "php") for name in stack.containers(service)]
    stack.compose("stop")
    codes = {name: stack.inspect(name)["State"]["ExitCode"] for name in containers}
    stack.down()

    assert dict.fromkeys(containers, 0) == codes
    assert {"containers": [], "networks": [], "volumes": []} == stack.left_behind()
