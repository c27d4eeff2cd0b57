"""Who calls: short-lived tokens that an app signs with its secret."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from pogo.broker.apps import AppDirectory
from pogo.settings import App

AUDIENCE = "pogo-broker"
"""What a token's `aud` must name."""

LEEWAY = 30.0
"""Seconds by which the clocks of callers and brokers may differ."""

MAX_LIFETIME = 3600.0
"""Seconds until a token may expire: a stolen one should not be of use for long."""

CACHE_SIZE = 1024
"""Verified tokens that are remembered. A caller uses one for minutes; the oldest goes first."""


class AuthenticationError(Exception):
    """The caller is nobody we know. The message says why and goes to the caller."""


class _Claims(msgspec.Struct):
    iss: str
    aud: str | list[str]
    exp: float
    nbf: float = 0.0


class _AnyKeyLength(HMACAlgorithm):
    """HS256 without PyJWT's advice on short keys: the secrets of Pusher apps have 20 characters."""

    def check_key_length(self, key: bytes) -> None:
        del key


def _signatures() -> jwt.PyJWS:
    signatures = jwt.PyJWS(algorithms=["HS256"])
    signatures.unregister_algorithm("HS256")
    signatures.register_algorithm("HS256", _AnyKeyLength(HMACAlgorithm.SHA256))
    return signatures


@dataclass(frozen=True, slots=True)
class _Verified:
    app: App
    claims: _Claims


class Authenticator:
    """Verifies tokens, and remembers those that were right for as long as they are."""

    def __init__(self, apps: AppDirectory, *, clock: Callable[[], float] = time.time) -> None:
        self._apps = apps
        self._clock = clock
        self._signatures = _signatures()
        self._claims = msgspec.json.Decoder(_Claims)
        self._cache: dict[str, _Verified] = {}

    @property
    def remembered(self) -> int:
        """How many tokens are remembered."""
        return len(self._cache)

    def authenticate(self, authorization: str) -> App:
        """Return the app whose token this is.

        Args:
            authorization: The call's metadata of that name: `Bearer` and the token.

        Raises:
            AuthenticationError: It is no token of an app's, or not now.
        """
        verified = self._cache.get(authorization)
        # After a reload the directory has other objects, and every token is verified anew.
        if verified is None or self._apps.by_key(verified.app.key) is not verified.app:
            verified = self._verify(_token(authorization))
            self._cache.pop(authorization, None)
            if len(self._cache) >= CACHE_SIZE:
                del self._cache[next(iter(self._cache))]
            self._cache[authorization] = verified
        self._check_time(verified.claims)
        return verified.app

    def _verify(self, token: str) -> _Verified:
        claims = self._read(token)
        app = self._apps.by_key(claims.iss)
        if app is None:
            raise AuthenticationError("the token's iss is not the key of an app")
        if AUDIENCE not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise AuthenticationError(f"the token's aud is not {AUDIENCE}")
        if not self._is_signed_by(app, token):
            raise AuthenticationError("the token is not signed with the app's secret")
        # Judged before it is remembered, so that nothing useless fills the cache.
        self._check_time(claims)
        return _Verified(app, claims)

    def _read(self, token: str) -> _Claims:
        """Read the claims, which nobody has vouched for yet."""
        try:
            unverified = self._signatures.decode_complete(
                token, options={"verify_signature": False}
            )
            return self._claims.decode(unverified["payload"])
        except jwt.InvalidTokenError as error:
            raise AuthenticationError(f"the token is not a JWT: {error}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise AuthenticationError(f"the token's claims are not right: {error}") from error

    def _is_signed_by(self, app: App, token: str) -> bool:
        secrets = [app.secret, *([app.previous_secret] if app.previous_secret else [])]
        for secret in secrets:
            try:
                self._signatures.decode_complete(
                    token, key=secret.get_secret_value().encode(), algorithms=["HS256"]
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError as error:
                raise AuthenticationError(f"the token was refused: {error}") from error
            return True
        return False

    def _check_time(self, claims: _Claims) -> None:
        now = self._clock()
        if now >= claims.exp + LEEWAY:
            raise AuthenticationError("the token has expired")
        if claims.exp - now > MAX_LIFETIME + LEEWAY:
            raise AuthenticationError(
                f"the token expires more than {MAX_LIFETIME:.0f} seconds from now"
            )
        if now < claims.nbf - LEEWAY:
            raise AuthenticationError("the token's nbf is in the future")


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if not authorization:
        raise AuthenticationError("the call has no authorization metadata: send Bearer and a JWT")
    if scheme.lower() != "bearer" or not token:
        raise AuthenticationError("the authorization metadata is not Bearer and a JWT")
    return token
