import jwt
import pytest

from pogo.client.config import Configuration
from pogo.client.tokens import TokenMinter

SECRET = "a-secret-that-is-long-enough-for-hs256"


class Clock:
    """A clock that a test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="minter")
def _minter(clock: Clock) -> TokenMinter:
    return TokenMinter(Configuration("broker:1", "shop", "shop-key", SECRET), clock=clock)


def expiry(minter: TokenMinter) -> int:
    """Return when the token of the next call expires."""
    [(name, value)] = minter.metadata()
    claims = jwt.decode(
        value.removeprefix("Bearer "),
        SECRET,
        algorithms=["HS256"],
        audience="pogo-broker",
        issuer="shop-key",
        options={"verify_exp": False},
    )

    assert "authorization" == name
    return int(claims["exp"])


def test_a_token_is_good_for_five_minutes(minter: TokenMinter, clock: Clock) -> None:
    """It names the key and the broker, is signed with the secret, and expires."""
    assert clock.now + 300 == expiry(minter)


def test_a_token_is_reused_and_renewed(minter: TokenMinter, clock: Clock) -> None:
    """One token serves for four minutes; then there is a new one, a minute before it must be."""
    first = minter.metadata()
    clock.now += 239

    assert first == minter.metadata()

    clock.now += 1

    assert clock.now + 300 == expiry(minter)


def test_a_clock_that_is_set_back(minter: TokenMinter, clock: Clock) -> None:
    """A token from the future would be refused for its lifetime, so there is a new one."""
    minter.metadata()
    clock.now -= 7200

    assert clock.now + 300 == expiry(minter)


def test_short_secrets_sign_without_a_warning(clock: Clock) -> None:
    """Pusher's secrets of 20 characters are good enough."""
    minter = TokenMinter(Configuration("b:1", "shop", "shop", "7ad3773142a6692b25b8"), clock=clock)

    assert minter.metadata()[0][1].startswith("Bearer ")
