import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Typed
from tests.documents import documented, exchange
from tests.laravel.application import Shop, install_vendor, php_path
from tests.php_worker.fastcgi import Answer, FastCgi
from tests.php_worker.worker import KEY, SECRET, Worker, is_alive, post, sign

MESS = Path(__file__).parent / "laravel"


@pytest.fixture(name="vendor", scope="session")
def _vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_vendor(tmp_path_factory.mktemp("composer") / "project")


@pytest.fixture(name="shop", params=["lazy", "eager"])
def _shop(request: pytest.FixtureRequest, tmp_path: Path, vendor: Path) -> Iterator[Shop]:
    """Return the application, with routes more; an eager one uses its services while it boots."""
    environment = {
        "POGO_APP_ID": KEY,
        "POGO_APP_SECRET": SECRET,
        "POGO_TEST_EAGER": str(int(request.param == "eager")),
    }
    shop = Shop(tmp_path / "shop", vendor, environment=environment)
    shutil.copytree(MESS, shop.directory / "routes" / "mess")
    with (shop.directory / "routes" / "web.php").open("a") as routes:
        routes.write("\nrequire __DIR__ . '/mess/mess.php';\n")
    with ExitStack() as running:
        running.callback(shop.kill)
        asyncio.run(shop.start())
        yield shop


@pytest.fixture(name="worker")
def _worker(tmp_path: Path, vendor: Path, shop: Shop) -> Iterator[Worker]:
    """Return one process of the worker, of the package as Composer has installed it."""
    worker = Worker(
        tmp_path / "worker",
        "--workers=1",
        "--max-requests=1000000",
        app=shop.directory,
        package=vendor / "pogo" / "websocket",
        php=php_path(),
        environment=shop.environment,
    )
    with ExitStack() as running:
        running.callback(worker.kill)
        asyncio.run(worker.start())
        yield worker


@pytest.fixture(name="client")
def _client(worker: Worker) -> Iterator[FastCgi]:
    with FastCgi(worker.address) as client:
        yield client


def _log_in(shop: Shop, name: str) -> str:
    """Log in through the application itself, and return the cookies."""
    cookies = shop.visitor().log_in(name).cookies
    return "; ".join(f"{key}={value}" for key, value in cookies.items())


def _get(client: FastCgi, path: str, cookie: str = "", **params: str) -> Answer:
    _, _, query = path.partition("?")
    got = {**post(path, cookie=cookie), "REQUEST_METHOD": "GET", "QUERY_STRING": query, **params}
    return client.ask(got)


def _json(client: FastCgi, path: str, cookie: str = "", **params: str) -> dict[str, Any]:
    answer = _get(client, path, cookie, **params)
    assert answer.status == 200, answer
    data: dict[str, Any] = json.loads(answer.body)
    return data


def test_users(shop: Shop, client: FastCgi) -> None:
    """However users take turns on one process, each gets what is theirs, and only that."""
    cookies = {"ada": _log_in(shop, "ada"), "bob": _log_in(shop, "bob"), "": ""}
    for _ in range(100):
        for name, owned in (("ada", 1), ("", 0), ("bob", 2), ("", 0)):
            answers = [sign(client, f"private-orders.{order}", cookies[name]) for order in (1, 2)]
            assert [order == owned for order in (1, 2)] == [
                answer.status == 200 for answer in answers
            ]
            assert {200, 403} >= {answer.status for answer in answers}
            room = sign(client, "presence-room.1", cookies[name])
            if not name:
                assert 403 == room.status
                continue
            member = json.loads(json.loads(room.body)["channel_data"])
            assert {"user_id": str(owned), "user_info": {"name": name}} == {
                **member,
                "user_id": str(member["user_id"]),
            }


def test_signing_in(shop: Shop, client: FastCgi) -> None:
    """Who signs in is the user of the session, and nobody after them."""
    ada = _log_in(shop, "ada")
    for _ in range(3):
        answer = client.ask(post("/pogo/user-auth", cookie=ada), b"socket_id=1.2")
        assert "1" == json.loads(json.loads(answer.body)["user_data"])["id"]
        assert 403 == client.ask(post("/pogo/user-auth"), b"socket_id=1.2").status


def test_guard_of_a_controller(shop: Shop, client: FastCgi) -> None:
    """A controller that was given a guard does not keep it for the next request."""
    ada, bob = _log_in(shop, "ada"), _log_in(shop, "bob")
    for _ in range(3):
        assert {"id": 1} == _json(client, "/guard", ada)
        assert {"id": None} == _json(client, "/guard")
        assert {"id": 2} == _json(client, "/guard", bob)


def test_guard_of_the_application(shop: Shop, client: FastCgi) -> None:
    """A guard that a provider has made while it booted is still there, for whoever asks now."""
    if shop.environment["POGO_TEST_EAGER"] != "1":
        assert 500 == _get(client, "/header").status
        return
    for _ in range(3):
        assert {"id": 1} == _json(client, "/header", HTTP_X_USER="1")
        assert {"id": None} == _json(client, "/header")


@pytest.mark.parametrize("broken", ["0", "1"])
def test_nothing_stays(shop: Shop, client: FastCgi, broken: str) -> None:
    """After a request that changes all it can, the next one finds everything as it was."""
    before = _json(client, "/probe")
    for number in range(1, 4):
        assert {"id": 2} == _json(client, f"/mess?broken={broken}")
        answer = _get(client, "/probe")

        assert before == json.loads(answer.body)
        assert "mess=" not in str(answer.headers)
        terminated = (shop.directory / "storage" / "terminated").read_text()
        assert number == len(terminated)


def test_memory(shop: Shop, client: FastCgi) -> None:
    """Hundreds of requests leave nothing behind."""
    cookies = [_log_in(shop, "ada"), _log_in(shop, "bob"), ""]

    def work(rounds: int) -> int:
        for _ in range(rounds):
            for cookie in cookies:
                sign(client, "presence-room.1", cookie)
                _get(client, "/mess", cookie)
        return int(_json(client, "/memory")["bytes"])

    warm = work(100)

    # One closure that stays from each of the 1,200 requests would be more.
    assert work(200) - warm < 200_000


def test_failure_after_the_answer(worker: Worker, client: FastCgi) -> None:
    """What fails when the answer is out is logged, and harms no other request."""
    pid = _json(client, "/memory")["pid"]
    assert {"ok": True} == _json(client, "/late")
    assert pid == _json(client, "/memory")["pid"]
    assert "too late to tell" in worker.log.read_text()


def test_exit(worker: Worker) -> None:
    """A request that ends the process is answered, and the next process goes on."""
    child = worker.children[0]
    with FastCgi(worker.address) as client:
        answer = _get(client, "/exit")
        assert (500, b'{"error":"Internal error"}') == (answer.status, answer.body)
    with FastCgi(worker.address) as client:
        assert 200 == _get(client, "/probe").status
    assert not is_alive(child)


def test_errors(client: FastCgi) -> None:
    """The application's own answers to errors pass as they are."""
    missing = sign(client, "private-nowhere")
    unknown = client.ask(post("/nowhere"), b"")

    assert (403, "application/json") == (missing.status, missing.headers["content-type"])
    assert 404 == unknown.status


def test_answers_of_all_kinds(shop: Shop, client: FastCgi) -> None:
    """Pages, files and streams pass too, and so do cookies."""
    assert b"part 1\npart 2\npart 3\n" == _get(client, "/stream").body
    page = _get(client, "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "set-cookie" in page.headers
    script = Path(shop.environment["POGO_TEST_NODE_MODULES"])
    expected = (script / "pusher-js" / "dist" / "web" / "pusher-with-encryption.js").read_bytes()
    assert expected == _get(client, "/js/pusher.js").body


def test_too_large(client: FastCgi) -> None:
    """A body that is too large does not reach the application."""
    assert 413 == client.ask(post(), b"x" * 16_385).status


async def test_the_documented_command(tmp_path: Path, vendor: Path, shop: Shop) -> None:
    """Typed beside `vendor`, as Composer has made it, it signs for the application."""
    socket = tmp_path / "auth.sock"
    text = exchange(
        documented("docs/auth-worker.md", "Booted once", "sh"),
        {
            "php vendor": f"exec {php_path()} vendor",
            "/run/pogo/auth.sock": str(socket),
            "/var/www/laravel": str(shop.directory),
        },
    )
    cookie = _log_in(shop, "ada")
    async with Typed(vendor.parent, text, env=shop.environment) as worker:
        await worker.told("listening")
        with FastCgi(socket) as client:
            assert 200 == sign(client, "private-orders.1", cookie).status
            assert 403 == sign(client, "private-orders.2", cookie).status
        assert 0 == await worker.stop()
