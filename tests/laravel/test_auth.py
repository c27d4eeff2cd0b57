"""Who may have which channel, and what the application signs."""

import base64
import hashlib
import hmac
import json

import pytest

from tests.laravel.application import MASTER_KEY, Shop
from tests.laravel.conftest import KEY, SECRET

SOCKET_ID = "123.456"


def _signature(text: str) -> str:
    """Sign as Pusher documents it, without any code of the package."""
    return f"{KEY}:{hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def test_own_channel_is_signed(shop: Shop) -> None:
    """A user gets the channel of their own order, which the model's owner decides."""
    answer = shop.visitor().log_in("ada").sign(SOCKET_ID, "private-orders.1")

    assert 200 == answer.status
    assert {"auth": _signature(f"{SOCKET_ID}:private-orders.1")} == answer.json


def test_presence_channel_names_the_user(shop: Shop) -> None:
    """A presence channel is signed with who the user of the session is."""
    answer = shop.visitor().log_in("bob").sign(SOCKET_ID, "presence-room.1")

    assert 200 == answer.status
    data = answer.json["channel_data"]
    assert {"user_id": 2, "user_info": {"name": "bob"}} == json.loads(data)
    assert _signature(f"{SOCKET_ID}:presence-room.1:{data}") == answer.json["auth"]


def test_encrypted_channel_has_its_key(shop: Shop) -> None:
    """An encrypted channel comes with the key that is derived from the app's master key."""
    channel = "private-encrypted-vault.ada"
    answer = shop.visitor().log_in("ada").sign(SOCKET_ID, channel)

    digest = hashlib.sha256(channel.encode() + base64.b64decode(MASTER_KEY)).digest()
    assert 200 == answer.status
    assert {
        "auth": _signature(f"{SOCKET_ID}:{channel}"),
        "shared_secret": base64.b64encode(digest).decode(),
    } == answer.json


def test_user_is_signed_in(shop: Shop) -> None:
    """User authentication signs who the application says the user is, with the id as text."""
    answer = shop.visitor().log_in("ada").sign_in(SOCKET_ID)

    assert 200 == answer.status
    data = answer.json["user_data"]
    assert {"id": "1", "user_info": {"name": "ada"}} == json.loads(data)
    assert _signature(f"{SOCKET_ID}::user::{data}") == answer.json["auth"]


@pytest.mark.parametrize(
    "channel",
    [
        pytest.param("private-orders.2", id="another-user's"),
        pytest.param("private-orders.99", id="no-such-model"),
        pytest.param("private-orders.1 OR 1=1", id="no-such-key"),
        pytest.param("private-encrypted-vault.bob", id="another-user's-encrypted"),
        pytest.param("private-closed", id="callback-says-false"),
        pytest.param("presence-closed", id="presence-callback-says-false"),
        pytest.param("private-unheard.1", id="no-callback"),
        pytest.param("orders.1", id="public"),
        pytest.param("privateorders.1", id="no-prefix"),
        pytest.param("Private-orders.1", id="capital"),
        pytest.param("#server-to-user-1", id="server's-own"),
        pytest.param("private-orders.1:private-orders.2", id="colon"),
        pytest.param("private-orders.1\nx", id="line-break"),
        pytest.param("private-orders.1\x00", id="null-byte"),
        pytest.param("private-orders.1é", id="not-ascii"),
        pytest.param("private-orders.1." + "x" * 200, id="too-long"),
        pytest.param("", id="empty"),
    ],
)
def test_channel_is_refused(shop: Shop, channel: str) -> None:
    """A user does not get what is somebody else's, or no name of a channel."""
    answer = shop.visitor().log_in("ada").sign(SOCKET_ID, channel)

    assert 403 == answer.status
    assert KEY not in answer.body


@pytest.mark.parametrize(
    "socket_id",
    [
        pytest.param("1.2:private-orders.2", id="another-channel"),
        pytest.param("1.2::user::{}", id="another-user"),
        pytest.param("1.2:presence-room.1:{}", id="a-member"),
        pytest.param("1.2\n3", id="line-break"),
        pytest.param("1", id="one-number"),
        pytest.param("a.b", id="no-numbers"),
        pytest.param("\u0661.\u0662", id="other-digits"),
        pytest.param("", id="empty"),
    ],
)
@pytest.mark.parametrize("channel", ["private-orders.1", "presence-room.1", ""])
def test_socket_id_is_refused(shop: Shop, socket_id: str, channel: str) -> None:
    """Nothing is signed for what is no socket id, so that it cannot be read as something else."""
    visitor = shop.visitor().log_in("ada")
    answer = visitor.sign(socket_id, channel) if channel else visitor.sign_in(socket_id)

    assert 403 == answer.status
    assert KEY not in answer.body


@pytest.mark.parametrize("channel", ["private-orders.1", "presence-room.1", "private-closed"])
def test_guest_is_refused(shop: Shop, channel: str) -> None:
    """Who is not logged in gets no channel."""
    assert 403 == shop.visitor().sign(SOCKET_ID, channel).status


def test_guest_is_not_signed_in(shop: Shop) -> None:
    """Who is not logged in is no user."""
    assert 403 == shop.visitor().sign_in(SOCKET_ID).status


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"socket_id": SOCKET_ID}, id="no-channel"),
        pytest.param({"channel_name": "private-orders.1"}, id="no-socket"),
        pytest.param({"socket_id": SOCKET_ID, "channel_name[]": "private-orders.1"}, id="list"),
        pytest.param({"socket_id[x]": SOCKET_ID, "channel_name": "private-orders.1"}, id="map"),
    ],
)
def test_other_forms_are_refused(shop: Shop, fields: dict[str, str]) -> None:
    """A form without its fields, or with lists in their place, is refused and is no fault."""
    assert 403 == shop.visitor().log_in("ada").post("/pogo/auth", fields).status


@pytest.mark.parametrize("path", ["/pogo/auth", "/pogo/user-auth"])
def test_only_posts_are_answered(shop: Shop, path: str) -> None:
    """A script tag of another site's page cannot have anything signed."""
    query = f"?socket_id={SOCKET_ID}&channel_name=private-orders.1&callback=steal"

    assert 405 == shop.visitor().log_in("ada").get(path + query).status


def test_callback_is_not_called(shop: Shop) -> None:
    """What is answered is never JavaScript that a page could load."""
    fields = {"socket_id": SOCKET_ID, "channel_name": "private-orders.1", "callback": "steal"}
    answer = shop.visitor().log_in("ada").post("/pogo/auth", fields)

    assert ["auth"] == list(answer.json)


def test_sessions_are_kept_apart(shop: Shop) -> None:
    """Two users who ask in turn each get their own channel, and a guest between them none."""
    ada, bob, guest = shop.visitor().log_in("ada"), shop.visitor().log_in("bob"), shop.visitor()
    asked = [
        (ada, "private-orders.1"),
        (bob, "private-orders.1"),
        (guest, "private-orders.1"),
        (bob, "private-orders.2"),
        (ada, "private-orders.2"),
    ]
    statuses = [visitor.sign(SOCKET_ID, channel).status for visitor, channel in asked]

    assert [200, 403, 403, 200, 403] == statuses


def test_flashed_text_survives(shop: Shop) -> None:
    """What the application flashed for the next page is still there after channels were signed."""
    visitor = shop.visitor().log_in("ada")
    visitor.get("/flash")
    visitor.sign(SOCKET_ID, "private-orders.1")
    visitor.sign_in(SOCKET_ID)

    assert "shown once" == visitor.get("/flash").body
