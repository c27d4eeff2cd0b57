"""Signatures of requests: whether an app sent this, and just now.

Source: Pusher Channels documentation, "HTTP API Reference", "Authentication".
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

from pogo.broker.http.errors import BadRequestError, UnauthorizedError
from pogo.settings import App

WINDOW = 600
"""Seconds that a request's time may be from ours, before or after."""

VERSION = "1.0"

_MAX_DIGITS = 12
"""Digits of a time in seconds, for some thousand years."""


def parse_query(query: str) -> dict[str, str]:
    """Read a query's parameters, with their names in small letters as they are signed.

    Raises:
        BadRequestError: One comes twice: each reader could take another one of them.
    """
    parameters: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        name = name.lower()
        if name in parameters:
            raise BadRequestError(f"the parameter {name!r} comes twice")
        parameters[name] = value
    return parameters


def check_claims(parameters: Mapping[str, str], now: float) -> None:
    """Check the version and the time that a request names.

    Raises:
        UnauthorizedError: They are missing, or not right.
    """
    if _required(parameters, "auth_version") != VERSION:
        raise UnauthorizedError(f"auth_version is not {VERSION}")
    timestamp = _required(parameters, "auth_timestamp")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _MAX_DIGITS):
        raise UnauthorizedError("auth_timestamp is not a number of seconds since 1970")
    if abs(now - int(timestamp)) > WINDOW:
        raise UnauthorizedError(
            f"auth_timestamp is more than {WINDOW} seconds from the server's time, which is "
            f"{now:.0f}"
        )


def check_signature(
    app: App, method: str, paths: Iterable[str], parameters: Mapping[str, str]
) -> None:
    """Check that a request is signed by an app.

    Args:
        app: Whose secrets, the one in force and the one before, count.
        method: The HTTP method.
        paths: What the client may have signed as its path.
        parameters: Those of the query, which name `body_md5` where there is a body.

    Raises:
        UnauthorizedError: It is not.
    """
    given = _required(parameters, "auth_signature").encode(errors="surrogatepass")
    pairs = [f"{name}={value}" for name, value in parameters.items() if name != "auth_signature"]
    query = "&".join(sorted(pairs, key=_name))
    texts = [f"{method}\n{path}\n{query}" for path in paths]
    secrets = [app.secret, *([app.previous_secret] if app.previous_secret else [])]
    for text in texts:
        for secret in secrets:
            key = secret.get_secret_value().encode()
            expected = hmac.digest(key, text.encode(errors="surrogateescape"), "sha256").hex()
            if hmac.compare_digest(expected.encode(), given):
                return
    raise UnauthorizedError(
        "auth_signature is not that of the app's secret for this text: "
        + texts[0].encode("ascii", "backslashreplace").decode()
    )


def check_body(body: bytes, parameters: Mapping[str, str]) -> None:
    """Check that a body is the one that was signed.

    Raises:
        UnauthorizedError: It is not, or the signature is not about any.
    """
    given = parameters.get("body_md5")
    if given is None:
        if body:
            raise UnauthorizedError("body_md5 is missing, so that the body is not signed")
        return
    expected = hashlib.md5(body, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.lower().encode(errors="surrogatepass")):
        raise UnauthorizedError("body_md5 is not the MD5 of the body")


def key_of(parameters: Mapping[str, str]) -> str:
    """Return the key that a request names.

    Raises:
        UnauthorizedError: It names none.
    """
    return _required(parameters, "auth_key")


def _required(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise UnauthorizedError(f"{name} is missing")
    return value


def _name(pair: str) -> str:
    return pair.partition("=")[0]
