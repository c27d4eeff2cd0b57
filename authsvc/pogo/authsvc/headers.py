"""Which headers of a client reach the worker: those named here, and no others.

What belongs to the connection itself (RFC 9110, section 7.6.1) is not among them, nor anything
that a worker could take for the word of a proxy: `x-forwarded-*` counts only from a trusted one.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from pogo.authsvc.errors import BadRequestError

ASKABLE = frozenset(
    {"authorization", "x-csrf-token", "x-requested-with", "x-socket-id", "x-xsrf-token"}
)
"""Headers that a page may set itself."""

PASSED = ASKABLE | {"accept", "cookie", "origin", "referer", "user-agent"}
"""All that pass, but for `x-forwarded-*`."""

MAX_HEADERS = 16 * 1024
"""Bytes of names and values that pass; php-fpm reads 64 KiB at the most, with what is added."""

# Underscores and dashes are one to PHP, so that two names could be one there.
_FORWARDED = re.compile(r"x-forwarded-[a-z0-9-]+")
_HOST = re.compile(r"[A-Za-z0-9._~-]*(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_MAX_HOST = 255
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_JOINED = {"cookie": "; "}


def passed_headers(
    headers: Iterable[tuple[str, str]], *, from_trusted_proxy: bool
) -> list[tuple[str, str]]:
    """Return the headers that pass: names in lower case, each once, several values joined.

    Raises:
        BadRequestError: They are too long, or one could be taken for several.
    """
    passed: dict[str, str] = {}
    for given, value in headers:
        name = given.lower()
        if name not in PASSED and not (from_trusted_proxy and _FORWARDED.fullmatch(name)):
            continue
        before = passed.get(name)
        passed[name] = value if before is None else _JOINED.get(name, ", ").join((before, value))
    # Whatever the client takes: a page of HTML would not tell it why not.
    passed["accept"] = "application/json"
    if sum(len(name) + len(value) for name, value in passed.items()) > MAX_HEADERS:
        raise BadRequestError(f"headers have up to {MAX_HEADERS} bytes", 431)
    for name, value in passed.items():
        if _CONTROL.search(value):
            raise BadRequestError(f"the header {name} has a control character in it")
    return list(passed.items())


def check_host(host: str) -> str:
    """Return what a client calls this server, if it can be a server's name; it may be empty.

    Raises:
        BadRequestError: It cannot.
    """
    if len(host) > _MAX_HOST or _HOST.fullmatch(host) is None:
        raise BadRequestError("the header host is no host")
    return host


def check_remote(remote: str) -> str:
    """Return a client's address, if it is one; it may be empty.

    Raises:
        BadRequestError: It is not.
    """
    try:
        return str(ip_address(remote)) if remote else ""
    except ValueError:
        raise BadRequestError("remote is no address") from None
