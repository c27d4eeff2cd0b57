import pytest

from pogo.pusher.errors import (
    CloseError,
    InvalidVersionError,
    NoProtocolError,
    PathNotFoundError,
    UnsupportedProtocolError,
)
from pogo.pusher.handshake import is_socket_id, make_socket_id, parse_target


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/app/key?protocol=7&client=js&version=8.6.0&flash=false", "key"),
        ("/app/key?protocol=5", "key"),
        ("/app/a%20b?protocol=6", "a b"),
        ("/app/key?protocol=07", "key"),
    ],
)
def test_target(target: str, key: str) -> None:
    """The key of the app; what else there is does not matter."""
    assert key == parse_target(target)


@pytest.mark.parametrize(
    ("target", "error", "code"),
    [
        ("/", PathNotFoundError, 4005),
        ("/app", PathNotFoundError, 4005),
        ("/app/?protocol=7", PathNotFoundError, 4005),
        ("/app/a/b?protocol=7", PathNotFoundError, 4005),
        ("/app/a%2Fb?protocol=7", PathNotFoundError, 4005),
        ("/application/a?protocol=7", PathNotFoundError, 4005),
        ("//[bad/app/key?protocol=7", PathNotFoundError, 4005),
        ("/app/key?" + "&".join(["x=1"] * 40), PathNotFoundError, 4005),
        ("/app/key?protocol=", InvalidVersionError, 4006),
        ("/app/key?protocol=seven", InvalidVersionError, 4006),
        ("/app/key?protocol=-7", InvalidVersionError, 4006),
        ("/app/key?protocol=7.0", InvalidVersionError, 4006),
        ("/app/key?protocol=\u0667", InvalidVersionError, 4006),
        ("/app/key?protocol=4", UnsupportedProtocolError, 4007),
        ("/app/key?protocol=8", UnsupportedProtocolError, 4007),
        ("/app/key?protocol=" + "7" * 5000, UnsupportedProtocolError, 4007),
        ("/app/key", NoProtocolError, 4008),
        ("/app/key?version=8.6.0", NoProtocolError, 4008),
    ],
)
def test_errors(target: str, error: type[CloseError], code: int) -> None:
    """Each mistake has the protocol's code."""
    with pytest.raises(error) as raised:
        parse_target(target)

    assert code == raised.value.code


def test_socket_ids() -> None:
    """Two numbers with a dot, out of 64 random bits."""
    assert "0.0" == make_socket_id(0)
    assert "4294967295.4294967295" == make_socket_id(2**64 - 1)
    assert "4294967295.1" == make_socket_id(2**33 - 1)
    assert is_socket_id(make_socket_id(2**64 - 1))


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.2.3", "1.2\n", "a.b", "1.2:private-x"])
def test_no_socket_ids(text: str) -> None:
    """SDKs refuse anything else, and so does the server."""
    assert not is_socket_id(text)
