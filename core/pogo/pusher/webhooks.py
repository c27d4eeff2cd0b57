"""Webhooks on the wire: the body of a request, and what proves where it comes from.

Source: Pusher Channels documentation, "Webhooks".
"""

import hmac
from collections.abc import Sequence

CONTENT_TYPE = "application/json"
"""To the letter: the Node SDK takes nothing else, not even with a charset."""

KEY_HEADER = "X-Pusher-Key"
SIGNATURE_HEADER = "X-Pusher-Signature"


def webhook_body(time_ms: int, events: Sequence[bytes]) -> bytes:
    """Write the body that takes events, each JSON text already, to an endpoint.

    Args:
        time_ms: When it is sent, in milliseconds since 1970. The Python SDK refuses a body whose
            time is five minutes off, so each attempt has a time of its own.
        events: In order, at least one.
    """
    return b'{"time_ms":%d,"events":[%b]}' % (time_ms, b",".join(events))


def sign_webhook(secret: bytes, body: bytes) -> str:
    """Sign the bytes of a body: HMAC-SHA256, in hexadecimal digits."""
    return hmac.digest(secret, body, "sha256").hex()
