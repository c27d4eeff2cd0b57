"""What the worker signed: every rule that an answer has to keep."""

import base64
import json

import pytest

from pogo.authsvc.answers import check_channel_answer, check_user_answer
from pogo.authsvc.apps import AuthApps
from pogo.authsvc.errors import InvalidAnswerError
from pogo.pusher.channels import channel_kind
from tests.authsvc.helpers import APP, CHANNEL, KEY, SOCKET_ID, app, channel_auth, user_auth

PRESENCE = "presence-room"
ENCRYPTED = "private-encrypted-safe"
MEMBER = '{"user_id":"ada"}'
USER = '{"id":"ada"}'
SHARED_SECRET = base64.b64encode(b"k" * 32).decode()
OTHER = {"id": "other", "key": "other-key", "secret": "other-secret"}


def _apps(**overrides: object) -> AuthApps:
    return AuthApps([app(**overrides), app(**OTHER)], ())


def _check(
    answer: object, channel: str = CHANNEL, apps: AuthApps | None = None
) -> dict[str, str | None]:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    found, checked = check_channel_answer(
        body, apps or _apps(), socket_id=SOCKET_ID, channel=channel, kind=channel_kind(channel)
    )
    assert found.id in (APP, "other")
    return {name: getattr(checked, name) for name in checked.__struct_fields__}


def _refused(answer: object, channel: str = CHANNEL, apps: AuthApps | None = None) -> str:
    with pytest.raises(InvalidAnswerError) as caught:
        _check(answer, channel, apps)
    return caught.value.detail


def test_signed() -> None:
    """What is known is kept, and nothing else."""
    auth = channel_auth()

    expected = {"auth": auth, "channel_data": None, "shared_secret": None}
    assert expected == _check({"auth": auth, "debug": {"secret": "s"}, "expires": 1})


def test_previous_secret() -> None:
    """While a secret is rotated, both count."""
    answer = {"auth": channel_auth(secret="before")}

    assert _check(answer, apps=_apps(previous_secret="before"))
    assert "does not sign" in _refused(answer)


@pytest.mark.parametrize(
    "auth",
    [
        channel_auth(secret="guessed"),
        channel_auth(secret=""),
        channel_auth(secret="other-secret"),
        channel_auth(key="other-key"),
        channel_auth(socket_id="123.457"),
        channel_auth("private-order"),
        channel_auth(data=MEMBER),
        channel_auth(data=""),
        user_auth(USER),
        channel_auth().upper().replace(KEY.upper(), KEY),
        channel_auth() + "0",
        channel_auth()[:-1],
        channel_auth() + "\n",
        f" {channel_auth()}",
        f"{KEY}:",
        f"{KEY}:{'0' * 64}",
    ],
)
def test_does_not_sign_this(auth: str) -> None:
    """No signature of anything else passes."""
    _refused({"auth": auth})


@pytest.mark.parametrize("auth", ["", "x", ":", f":{'0' * 64}", KEY, f"nobody:{'0' * 64}"])
def test_key_of_no_app(auth: str) -> None:
    """The key tells the app."""
    assert "key of an app" in _refused({"auth": auth})


def test_disabled_app() -> None:
    """Nobody can connect to it."""
    assert "key of an app" in _refused({"auth": channel_auth()}, apps=_apps(enabled=False))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true",
        b"[]",
        b"{}",
        b'{"auth":1}',
        b'{"auth":null}',
        b'{"auth":"app-key:',
        b"\xff",
        b'\xef\xbb\xbf{"auth":"x"}',
        b"<h1>Login</h1>",
        b'{"auth":"\\ud800:x"}',
        b'{"x":' + b"[" * 50_000,
    ],
)
def test_no_json_of_a_signature(body: bytes) -> None:
    """It cannot be read, and does no harm."""
    _refused(body)


def test_auth_twice() -> None:
    """The last one counts, for whoever reads it: what is passed on has it once."""
    right, wrong = channel_auth(), channel_auth(secret="guessed")

    assert right == _check(f'{{"auth":"{wrong}","auth":"{right}"}}'.encode())["auth"]
    _refused(f'{{"auth":"{right}","auth":"{wrong}"}}'.encode())


@pytest.mark.parametrize("channel", [PRESENCE, "presence-cache-room"])
def test_presence(channel: str) -> None:
    """The member is passed on as it was signed."""
    answer = {"auth": channel_auth(channel, MEMBER), "channel_data": MEMBER}

    assert MEMBER == _check(answer, channel)["channel_data"]


@pytest.mark.parametrize("channel", [PRESENCE, "presence-cache-room"])
def test_presence_without_member(channel: str) -> None:
    """A presence channel says who is there."""
    assert "channel_data" in _refused({"auth": channel_auth(channel)}, channel)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[]",
        "null",
        "x",
        '{"user_id":null}',
        '{"user_id":""}',
        '{"user_id":{"a":1}}',
        '{"user_id":true}',
        '{"user_info":{"name":"Ada"}}',
        json.dumps({"user_id": "x" * 129}),
    ],
)
def test_presence_without_user_id(data: str) -> None:
    """Signed as it may be."""
    auth = channel_auth(PRESENCE, data or None)

    _refused({"auth": auth, "channel_data": data}, PRESENCE)


def test_presence_of_somebody_else() -> None:
    """The member is part of what is signed."""
    answer = {"auth": channel_auth(PRESENCE, MEMBER), "channel_data": '{"user_id":"bob"}'}

    assert "does not sign" in _refused(answer, PRESENCE)


def test_presence_with_a_number() -> None:
    """Applications write their ids as they have them."""
    data = '{"user_id":7,"user_info":{"name":"Ada"}}'

    assert _check({"auth": channel_auth(PRESENCE, data), "channel_data": data}, PRESENCE)


def test_encrypted() -> None:
    """The key is passed on."""
    answer = {"auth": channel_auth(ENCRYPTED), "shared_secret": SHARED_SECRET}

    assert SHARED_SECRET == _check(answer, ENCRYPTED)["shared_secret"]


@pytest.mark.parametrize("channel", [ENCRYPTED, "private-encrypted-cache-safe"])
@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        "no-key",
        SHARED_SECRET[:-1],
        base64.b64encode(b"k" * 31).decode(),
        base64.b64encode(b"k" * 33).decode(),
        f" {SHARED_SECRET}",
        SHARED_SECRET.replace("a", "-"),
        "é" * 44,
    ],
)
def test_encrypted_without_key(channel: str, secret: str | None) -> None:
    """pusher-js could not decrypt anything; and the log does not say what it was."""
    detail = _refused({"auth": channel_auth(channel), "shared_secret": secret}, channel)

    assert "shared_secret" in detail
    assert not secret or secret not in detail


def _check_user(answer: object, apps: AuthApps | None = None) -> str:
    body = json.dumps(answer).encode()
    _, checked = check_user_answer(body, apps or _apps(), socket_id=SOCKET_ID)
    return checked.user_data


def test_user() -> None:
    """The user is passed on as it was signed, with either secret."""
    assert USER == _check_user({"auth": user_auth(USER), "user_data": USER, "more": 1})
    rotated = {"auth": user_auth(USER, secret="before"), "user_data": USER}
    assert USER == _check_user(rotated, _apps(previous_secret="before"))


@pytest.mark.parametrize(
    ("auth", "data"),
    [
        (user_auth(USER, secret="guessed"), USER),
        (user_auth(USER, socket_id="1.1"), USER),
        (user_auth(USER), '{"id":"bob"}'),
        (user_auth(USER).replace(KEY, "other-key"), USER),
        (channel_auth(data=USER), USER),
        (user_auth(""), ""),
        (user_auth("{}"), "{}"),
        (user_auth('{"id":7}'), '{"id":7}'),
        (user_auth('{"id":""}'), '{"id":""}'),
        (user_auth(json.dumps({"id": "x" * 129})), json.dumps({"id": "x" * 129})),
        (user_auth(USER), None),
        (user_auth(USER), {"id": "ada"}),
    ],
)
def test_no_user(auth: str, data: object) -> None:
    """Nobody is signed in by anything else."""
    with pytest.raises(InvalidAnswerError):
        _check_user({"auth": auth, "user_data": data})


def test_user_of_a_disabled_app() -> None:
    """Nobody can connect to it."""
    with pytest.raises(InvalidAnswerError):
        _check_user({"auth": user_auth(USER), "user_data": USER}, _apps(enabled=False))


def test_secrets_are_in_no_repr() -> None:
    """Whoever logs an app logs no secret."""
    found = _apps(previous_secret="before").by_key(KEY)

    assert "app-secret" not in repr(found)
    assert "before" not in repr(found)
