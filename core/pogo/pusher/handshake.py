"""What a client says when it connects: `GET /app/{key}?protocol=7&client=js&version=8.6.0`.

Source: Pusher Channels protocol, "Connection" and "Error codes" 4005 to 4008. `client` and
`version` name the client's library; they are informational and may be missing.
"""

import re
from urllib.parse import parse_qs, unquote, urlsplit

from pogo.pusher.errors import (
    InvalidVersionError,
    NoProtocolError,
    PathNotFoundError,
    UnsupportedProtocolError,
)

SUPPORTED_PROTOCOLS = range(5, 8)
"""Every version that frames and double-encodes messages as 7 does."""

PATH_PREFIX = "/app/"

_MAX_QUERY_FIELDS = 32
_SOCKET_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")


def parse_target(target: str) -> str:
    """Read the request target of a handshake; returns the key of the app that the client wants.

    Raises:
        PathNotFoundError: The path is not `/app/{key}`.
        NoProtocolError: There is no `protocol`.
        InvalidVersionError: It is no number.
        UnsupportedProtocolError: It is not one of `SUPPORTED_PROTOCOLS`.
    """
    try:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        raise PathNotFoundError("the request target cannot be read") from None
    key = unquote(parts.path.removeprefix(PATH_PREFIX))
    if not parts.path.startswith(PATH_PREFIX) or not key or "/" in key:
        raise PathNotFoundError("connect to /app/{key}")
    if "protocol" not in query:
        raise NoProtocolError("no protocol version was given: add ?protocol=7")
    version = query["protocol"][0]
    if not (version.isascii() and version.isdecimal()):
        raise InvalidVersionError("the protocol version is not a number")
    # A number of a hundred digits is a number, and none that anybody supports.
    protocol = int(version[:4])
    if protocol not in SUPPORTED_PROTOCOLS:
        supported = ", ".join(str(number) for number in SUPPORTED_PROTOCOLS)
        raise UnsupportedProtocolError(f"this server speaks the protocol versions {supported}")
    return key


def make_socket_id(random_bits: int) -> str:
    """Make a socket id out of at least 64 random bits.

    It is the nonce of every signature, hence random; SDKs insist on two numbers with a dot.
    """
    return f"{random_bits & 0xFFFFFFFF}.{random_bits >> 32 & 0xFFFFFFFF}"


def is_socket_id(text: str) -> bool:
    """Whether this could be a socket id."""
    return _SOCKET_ID.fullmatch(text) is not None
