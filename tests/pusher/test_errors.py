import pytest

from pogo.pusher import errors
from pogo.pusher.errors import CloseError, ProtocolError, PusherError


def _leaves(root: type[PusherError]) -> list[type[PusherError]]:
    children = root.__subclasses__()
    return [leaf for child in children for leaf in _leaves(child)] if children else [root]


def test_documented_tree() -> None:
    """The tree in the module's docstring names every error with its code."""
    lines = (errors.__doc__ or "").splitlines()
    for leaf in _leaves(PusherError):
        line = next(line for line in lines if f" {leaf.__name__} " in line)

        assert ("no code" if leaf.code is None else str(leaf.code)) in line


@pytest.mark.parametrize("error", _leaves(CloseError))
def test_close_codes(error: type[CloseError]) -> None:
    """No connection is closed with a code after which pusher-js gives up for no reason."""
    assert error.code in {1003, 1007} or 4000 <= error.code < 4300


def test_only_close_errors_close() -> None:
    """The two branches are apart."""
    assert not issubclass(ProtocolError, CloseError)
    assert "too much" == ProtocolError("too much").message
