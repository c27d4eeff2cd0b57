"""Subjects: where on the bus a channel's deliveries travel."""

from urllib.parse import unquote

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_TOKENS = {byte: f"={byte:02X}" for byte in range(256) if byte not in _PLAIN}


def encode_token(name: str) -> str:
    """Encode any text as one subject token: every other byte than `[A-Za-z0-9_-]` becomes `=XX`.

    Injective, and free of what NATS gives a meaning to (`.`, `*`, `>`, white space) or refuses.
    """
    # In Latin-1, each byte is the character of its number.
    return name.encode().decode("latin-1").translate(_TOKENS)


def decode_token(token: str) -> str:
    """Read what `encode_token` wrote.

    Raises:
        ValueError: It did not.
    """
    return unquote(token.replace("=", "%"), errors="strict")


def channel_subject(app_id: str, channel: str) -> str:
    """Name the subject that carries the deliveries of one app's channel."""
    return f"pogo.v1.{encode_token(app_id)}.ch.{encode_token(channel)}"
