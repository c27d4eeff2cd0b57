"""Which web pages may connect, by the Origin header that browsers send.

A pattern is `*` (any page), a host (`example.com`), a host with a wildcard for one or more labels
(`*.example.com`), or either of them with a scheme and a port (`https://example.com:8443`). Without
a scheme any scheme fits, without a port any port fits; a browser's default port counts as given.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(origin: str | None, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns admits this origin.

    No Origin header means that it is not a browser, to which the rule does not apply: anything
    else could send any header it likes.
    """
    return origin is None or any(_matches(origin, pattern) for pattern in patterns)


def _matches(origin: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    scheme, host, port = _parts(origin)
    wanted_scheme, wanted_host, wanted_port = _parts(pattern)
    if not host or (wanted_scheme and wanted_scheme != scheme):
        return False
    if wanted_port is not None and wanted_port != _effective_port(scheme, port):
        return False
    if wanted_host.startswith("*."):
        return host.endswith(wanted_host[1:]) and len(host) > len(wanted_host) - 1
    return host == wanted_host


def _parts(origin: str) -> tuple[str, str, int | None]:
    """Split into scheme, host and port; an origin that makes no sense has no host."""
    scheme, separator, rest = origin.lower().partition("://")
    if not separator:
        scheme, rest = "", origin.lower()
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        return scheme, "", None
    return scheme, parts.hostname or "", port


def _effective_port(scheme: str, port: int | None) -> int | None:
    """Fill in the port that browsers leave out of an origin."""
    return _DEFAULT_PORTS.get(scheme) if port is None else port
