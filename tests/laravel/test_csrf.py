"""The verification of tokens against forged requests, whatever its class is called."""

import pytest

from tests.laravel.application import Shop
from tests.laravel.conftest import Open

SOCKET_ID = "123.456"


@pytest.fixture(name="guarded", params=["old", "new"])
def _guarded(request: pytest.FixtureRequest, open_shop: Open) -> Shop:
    # The application's own subclass of VerifyCsrfToken, or the framework's newest class, where it
    # has one of its own.
    return open_shop(POGO_TEST_SKELETON=request.param)


def test_token_is_wanted_elsewhere(guarded: Shop) -> None:
    """The exemption is for the two routes: everything else wants its token."""
    visitor = guarded.visitor().log_in("ada")

    assert 419 == visitor.post("/orders/1/ship").status
    assert 419 == visitor.post("/announce").status


def test_signing_wants_no_token(guarded: Shop) -> None:
    """Channels and users are signed without a token, as a WebSocket's handshake has none."""
    visitor = guarded.visitor().log_in("ada")

    assert 200 == visitor.sign(SOCKET_ID, "private-orders.1").status
    assert 200 == visitor.sign_in(SOCKET_ID).status


def test_other_sites_cannot_read(guarded: Shop) -> None:
    """What is signed is not opened to other origins."""
    visitor = guarded.visitor().log_in("ada")
    fields = {"socket_id": SOCKET_ID, "channel_name": "private-orders.1"}
    answer = visitor.post("/pogo/auth", fields, headers={"Origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control-")]
