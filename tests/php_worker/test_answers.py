import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pogo.pusher.members import parse_channel_data, parse_user_data
from pogo.pusher.signatures import verify_channel, verify_user
from tests.php_worker.fastcgi import Answer, FastCgi
from tests.php_worker.worker import KEY, SECRET, SOCKET_ID, post, process, sign

ADA = "user=ada"


def _is_signed(answer: Answer, channel: str) -> bool:
    data = json.loads(answer.body)
    return verify_channel(
        data["auth"],
        key=KEY,
        secrets=[SECRET.encode()],
        socket_id=SOCKET_ID,
        channel=channel,
        channel_data=data.get("channel_data"),
    )


def test_private(example: FastCgi) -> None:
    """A user gets the signature of a channel of theirs, in JSON, and nothing else."""
    answer = sign(example, "private-user-ada", ADA)

    assert 200 == answer.status
    assert answer.headers["content-type"].startswith("application/json")
    assert "no-store" in answer.headers["cache-control"]
    assert {"auth"} == set(json.loads(answer.body))
    assert _is_signed(answer, "private-user-ada")
    assert not _is_signed(answer, "private-user-bob")


@pytest.mark.parametrize(
    ("channel", "cookie"),
    [
        ("private-user-ada", ""),
        ("private-user-ada", "user=bob"),
        ("private-user-ada", "user="),
        ("private-encrypted-user-ada", "user=bob"),
        ("presence-room-1", ""),
        ("private-other", ADA),
        ("presence-other", ADA),
    ],
)
def test_refusal(example: FastCgi, channel: str, cookie: str) -> None:
    """Who may not subscribe is refused, without a signature."""
    answer = sign(example, channel, cookie)

    assert 403 == answer.status
    assert {"error": "Forbidden"} == json.loads(answer.body)


def test_presence(example: FastCgi) -> None:
    """On a presence channel the signed member is the user, as edges read it."""
    answer = sign(example, "presence-room-1", ADA)
    member = parse_channel_data(json.loads(answer.body)["channel_data"])

    assert _is_signed(answer, "presence-room-1")
    assert ("ada", {"name": "User ada"}) == (member.user_id, json.loads(bytes(member.user_info)))


def test_encrypted(example: FastCgi) -> None:
    """An encrypted channel comes with its key: the SHA-256 of its name and the master key."""
    answer = sign(example, "private-encrypted-user-ada", ADA)

    assert _is_signed(answer, "private-encrypted-user-ada")
    # By coreutils: (printf private-encrypted-user-ada; base64 -d <<< $KEY) | sha256sum
    expected = "C764RTC5+N+v5HCs3V4wjlPSa3D9riiMxU0e4UtX1XE="
    assert expected == json.loads(answer.body)["shared_secret"]


def test_user(example: FastCgi) -> None:
    """A user signs in with what the application says of them; nobody does not."""
    body = urlencode({"socket_id": SOCKET_ID}).encode()
    answer = example.ask(post("/pogo/user-auth", cookie=ADA), body)
    data = json.loads(answer.body)
    secrets = [SECRET.encode()]

    assert verify_user(
        data["auth"], key=KEY, secrets=secrets, socket_id=SOCKET_ID, user_data=data["user_data"]
    )
    assert "ada" == parse_user_data(data["user_data"]).id
    assert 403 == example.ask(post("/pogo/user-auth"), body).status


def test_json_body(client: FastCgi) -> None:
    """Who asks in JSON is answered the same."""
    body = json.dumps({"socket_id": SOCKET_ID, "channel_name": "private-free"}).encode()
    answer = client.ask({**post(), "CONTENT_TYPE": "application/json"}, body)

    assert 200 == answer.status
    assert _is_signed(answer, "private-free")


@pytest.mark.parametrize(
    ("status", "params", "body"),
    [
        (404, {"REQUEST_URI": "/"}, b"socket_id=1.2&channel_name=private-free"),
        (404, {"REQUEST_URI": "/pogo/auth/x"}, b"socket_id=1.2&channel_name=private-free"),
        (405, {"REQUEST_METHOD": "GET"}, b""),
        (405, {"REQUEST_METHOD": "PUT"}, b"socket_id=1.2&channel_name=private-free"),
        (413, {}, b"socket_id=1.2&channel_name=private-free&x=" + b"x" * 16_384),
        (400, {}, b""),
        (400, {}, b"socket_id=1.2"),
        (400, {}, b"channel_name=private-free"),
        (400, {}, b"socket_id=1.2:private-x&channel_name=private-free"),
        (400, {}, b"socket_id=1.2&channel_name=free"),
        (400, {}, b"socket_id[]=1.2&channel_name=private-free"),
        (400, {"CONTENT_TYPE": "text/plain"}, b"socket_id=1.2&channel_name=private-free"),
        (400, {"CONTENT_TYPE": "application/json"}, b"{"),
        (400, {"CONTENT_TYPE": "application/json"}, b'{"socket_id": 1.2}'),
        (400, {"CONTENT_TYPE": "application/json"}, b"\xff"),
    ],
)
def test_bad_requests(client: FastCgi, status: int, params: dict[str, str], body: bytes) -> None:
    """What cannot be a request of a client is refused with a reason in JSON."""
    answer = client.ask({**post(), **params}, body)

    assert status == answer.status
    assert {"error"} == set(json.loads(answer.body))
    # The next request on this connection is not harmed.
    assert 200 == sign(client, "private-free").status


def test_application_throws(client: FastCgi, tmp_path: Path) -> None:
    """An exception is 500 without a word of it, and the log has it."""
    answer = sign(client, "private-throw")
    logs = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))

    assert (500, {"error": "Internal error"}) == (answer.status, json.loads(answer.body))
    assert "RuntimeException: the password is swordfish" in logs
    assert SECRET not in logs
    assert 200 == sign(client, "private-free").status


def test_application_prints(client: FastCgi) -> None:
    """What the application prints or warns of does not get into the answer."""
    answer = sign(client, "private-echo")

    assert 200 == answer.status
    assert _is_signed(answer, "private-echo")


def test_mistake_of_the_application(client: FastCgi) -> None:
    """A member for a channel without members is 500, not a signature."""
    assert 500 == sign(client, "private-process").status


def test_cookies(client: FastCgi) -> None:
    """Cookies reach the application decoded; of two with one name the first counts."""
    _, info = process(client, "a=1; b=x%20y+z; a=2")

    assert {"a": "1", "b": "x y+z"} == info["cookies"]


def test_one_connection(client: FastCgi) -> None:
    """A kept connection answers one request after the other, each for who sent it."""
    for number in range(50):
        _, info = process(client, f"user={number}")
        assert {"user": str(number)} == info["cookies"]


def test_not_kept(address: Path | int) -> None:
    """A connection that the client does not keep is closed after the answer."""
    with FastCgi(address) as client:
        assert 200 == sign(client, "private-free", keep=False).status
        assert client.record() is None
