"""Signatures: how the application says that a connection may subscribe, or who its user is.

Source: Pusher Channels documentation, "Auth signatures". An `auth` is `KEY:HEX`, with HEX the
HMAC-SHA256 of a text that begins with the connection's socket id, which makes it worthless
elsewhere. What was signed beside it (`channel_data`, `user_data`) counts as the raw text that
came over the wire: it is never parsed and written again.
"""

import hmac
from collections.abc import Iterable


def sign_channel(
    secret: bytes, socket_id: str, channel: str, channel_data: str | None = None
) -> str:
    """Sign a subscription; `channel_data` only where there is some (presence channels)."""
    text = f"{socket_id}:{channel}"
    return _hex_hmac(secret, text if channel_data is None else f"{text}:{channel_data}")


def sign_user(secret: bytes, socket_id: str, user_data: str) -> str:
    """Sign a user's data for sign-in."""
    return _hex_hmac(secret, f"{socket_id}::user::{user_data}")


def verify_channel(
    auth: str,
    *,
    key: str,
    secrets: Iterable[bytes],
    socket_id: str,
    channel: str,
    channel_data: str | None = None,
) -> bool:
    """Whether `auth` signs this subscription with the app's key and one of its secrets."""
    return _verify(
        auth, key, [sign_channel(secret, socket_id, channel, channel_data) for secret in secrets]
    )


def verify_user(
    auth: str, *, key: str, secrets: Iterable[bytes], socket_id: str, user_data: str
) -> bool:
    """Whether `auth` signs this user's data with the app's key and one of its secrets."""
    return _verify(auth, key, [sign_user(secret, socket_id, user_data) for secret in secrets])


def _hex_hmac(secret: bytes, text: str) -> str:
    return hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256").hex()


def _verify(auth: str, key: str, signatures: Iterable[str]) -> bool:
    """Compare with every secret's signature, in constant time."""
    given = auth.encode(errors="surrogatepass")
    valid = False
    for signature in signatures:
        valid |= hmac.compare_digest(given, f"{key}:{signature}".encode())
    return valid
