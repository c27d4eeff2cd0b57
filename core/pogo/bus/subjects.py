"""Subjects: where on the bus a channel's deliveries travel."""

from urllib.parse import unquote

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_TOKEN = [chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in range(256)]


def encode_token(name: str) -> str:
    """Encode any text as one subject token: every other byte than `[A-Za-z0-9_-]` becomes `=XX`.

    Injective, and free of what NATS gives a meaning to (`.`, `*`, `>`, white space) or refuses.
    """
    return "".join([_TOKEN[byte] for byte in name.encode()])


def decode_token(token: str) -> str:
    """Read what `encode_token` wrote.

    Raises:
        ValueError: It did not.
    """
    return unquote(token.replace("=", "%"), errors="strict")


def channel_subject(app_id: str, channel: str) -> str:
    """Name the subject that carries the deliveries of one app's channel."""
    return f"pogo.v1.{encode_token(app_id)}.ch.{encode_token(channel)}"
