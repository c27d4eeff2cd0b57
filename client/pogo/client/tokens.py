"""The tokens with which a client says which app it is."""

import json
import time
from collections.abc import Callable

import jwt
from jwt.algorithms import HMACAlgorithm

from pogo.client.config import Configuration

AUDIENCE = "pogo-broker"

LIFETIME = 300.0
"""Seconds that a token is good for: long enough to be reused, short if it is stolen."""

RENEW_BEFORE = 60.0
"""Seconds before it expires that a token is replaced: more than a call takes and clocks differ."""


class _AnyKeyLength(HMACAlgorithm):
    """HS256 without PyJWT's advice on short keys: the secrets of Pusher apps have 20 characters."""

    def check_key_length(self, key: bytes) -> None:
        del key


class TokenMinter:
    """Makes tokens and reuses each until shortly before it expires. Thread-safe."""

    def __init__(
        self, configuration: Configuration, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._configuration = configuration
        self._clock = clock
        self._signatures = jwt.PyJWS(algorithms=["HS256"])
        self._signatures.unregister_algorithm("HS256")
        self._signatures.register_algorithm("HS256", _AnyKeyLength(HMACAlgorithm.SHA256))
        # Swapped as one value: threads that renew at the same time both have a good one.
        self._current = ("", 0.0)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call, with a token that is good for a while yet."""
        now = self._clock()
        authorization, renew_at = self._current
        # A clock that was set back makes a token look too good to be accepted.
        if not renew_at - LIFETIME <= now < renew_at:
            authorization = f"Bearer {self._mint(now + LIFETIME)}"
            self._current = (authorization, now + LIFETIME - RENEW_BEFORE)
        return (("authorization", authorization),)

    def _mint(self, expires: float) -> str:
        claims = {"iss": self._configuration.key, "aud": AUDIENCE, "exp": int(expires)}
        payload = json.dumps(claims).encode()
        secret = self._configuration.secret.encode()
        return self._signatures.encode(payload, secret, algorithm="HS256")
