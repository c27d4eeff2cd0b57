import base64
import json
import time
from collections.abc import Callable

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pogo.broker.apps import AppDirectory
from pogo.broker.auth import CACHE_SIZE, AuthenticationError, Authenticator
from tests.broker.helpers import APP, OTHER, Clock, token

COLLECTED_AT = time.time()

SHORT = APP.model_copy(
    update={"id": "short", "key": "short", "secret": SecretStr("7ad3773142a6692b25b8")}
)


def make(clock: Callable[[], float] = time.time) -> Authenticator:
    """Make an authenticator that knows three apps."""
    return Authenticator(AppDirectory([APP, OTHER, SHORT]), clock=clock)


def refusal(authorization: str) -> str:
    """Return why the metadata is refused, at the time at which the tokens below were made."""
    with pytest.raises(AuthenticationError) as caught:
        make(lambda: COLLECTED_AT).authenticate(authorization)
    return str(caught.value)


def unsigned(header: object, claims: object) -> str:
    """Write a token by hand, with a signature that is none."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "AAAA"])


def unsigned_claims(claims: bytes) -> str:
    """Write a token by hand, with claims that are no JSON."""
    head, _, signature = unsigned({"alg": "HS256"}, {}).split(".")
    return f"{head}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.{signature}"


def test_a_token_names_its_app() -> None:
    """A token that is right tells which app calls."""
    assert APP == make().authenticate(f"Bearer {token()}")
    assert OTHER == make().authenticate(f"bearer {token(OTHER)}")
    assert APP == make().authenticate(f"Bearer {token(aud=['x', 'pogo-broker'])}")


def test_the_previous_secret_is_good_too() -> None:
    """While a secret is rotated, both of them sign."""
    assert APP.previous_secret is not None
    secret = APP.previous_secret.get_secret_value()

    assert APP == make().authenticate(f"Bearer {token(secret=secret)}")


def test_short_secrets_sign_without_a_warning() -> None:
    """Pusher's secrets of 20 characters are good enough."""
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        text = token(SHORT)

    assert SHORT == make().authenticate(f"Bearer {text}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no authorization metadata"),
        ("Bearer", "not Bearer and a JWT"),
        ("Basic abc", "not Bearer and a JWT"),
        ("Bearer garbage", "is not a JWT"),
        ("Bearer a.b.c", "is not a JWT"),
        (f"Bearer {token(secret='wrong-secret-that-is-long-enough-as-well')}", "not signed with"),
        (f"Bearer {unsigned_claims(b'[' * 4000)}", "claims are not right"),
        (f"Bearer {unsigned_claims(bytes([0x22, 0xFF, 0x22]))}", "claims are not right"),
        (f"Bearer {token(iss='shop')}", "iss is not the key of an app"),
        (f"Bearer {token(aud='pogo-edge')}", "aud is not pogo-broker"),
        (f"Bearer {token(aud=None)}", "missing required field `aud`"),
        (f"Bearer {token(exp=None)}", "missing required field `exp`"),
        (f"Bearer {token(iss=None)}", "missing required field `iss`"),
        (f"Bearer {token(exp=int(time.time()) - 60)}", "has expired"),
        (f"Bearer {token(exp=int(time.time()) + 3700)}", "more than 3600 seconds"),
        (f"Bearer {token(nbf=int(time.time()) + 60)}", "nbf is in the future"),
        (f"Bearer {token(algorithm='none')}", "refused: The specified alg value is not allowed"),
        (f"Bearer {token(algorithm='HS384')}", "refused: The specified alg value is not allowed"),
    ],
)
def test_tokens_that_are_refused(text: str, reason: str) -> None:
    """Each fault has its reason, and no reason tells a secret."""
    said = refusal(text)

    assert reason in said
    assert APP.secret.get_secret_value() not in said


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "shop-key", "aud": "pogo-broker", "exp": "soon"},
        {"iss": "shop-key", "aud": "pogo-broker", "exp": 10**400},
        {"iss": 1, "aud": "pogo-broker", "exp": 1},
        {"iss": "shop-key", "aud": {}, "exp": 1},
        [],
        "text",
    ],
)
def test_claims_of_the_wrong_type(claims: object) -> None:
    """Claims that are not what they should be are refused like any other fault."""
    assert "the token" in refusal(f"Bearer {unsigned({'alg': 'HS256'}, claims)}")


@given(st.text() | st.text(max_size=200).map(lambda text: f"Bearer {text}"))
def test_any_text_is_refused_properly(text: str) -> None:
    """Whatever a stranger sends ends as an authentication error, never as an accident."""
    refusal(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "exp", "iss"]), inner)
        ),
    ),
    st.binary(),
)
def test_any_header_is_refused_properly(header: object, payload: bytes) -> None:
    """A token with any header and claims ends as an authentication error."""
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    first, _, last = unsigned(header, {}).split(".")
    refusal(f"Bearer {first}.{encoded}.{last}")


def test_a_clock_may_be_half_a_minute_off() -> None:
    """A token is taken until 30 s after it expired, also when it is remembered."""
    clock = Clock()
    authenticator = make(clock)
    text = f"Bearer {token(exp=int(clock.now))}"
    clock.now += 29

    assert APP == authenticator.authenticate(text)

    clock.now += 1
    with pytest.raises(AuthenticationError, match="has expired"):
        authenticator.authenticate(text)


def test_a_reload_is_not_outlived_by_tokens() -> None:
    """A token that was remembered is no good once the app's secret has changed."""
    apps = AppDirectory([APP])
    authenticator = Authenticator(apps)
    text = f"Bearer {token()}"
    authenticator.authenticate(text)
    apps.replace([APP.model_copy(update={"secret": SecretStr("x" * 40), "previous_secret": None})])

    with pytest.raises(AuthenticationError, match="not signed with"):
        authenticator.authenticate(text)

    apps.replace([])
    with pytest.raises(AuthenticationError, match="iss is not"):
        authenticator.authenticate(text)


def test_only_so_many_tokens_are_remembered() -> None:
    """A caller who makes a token for each call cannot fill the memory."""
    authenticator = make()
    for number in range(CACHE_SIZE + 10):
        authenticator.authenticate(f"Bearer {token(jti=str(number))}")

    assert CACHE_SIZE == authenticator.remembered
