"""Which headers of a client reach the worker: those named here, and no others.

What belongs to the connection itself (RFC 9110, section 7.6.1) is not among them, nor anything
that a worker could take for the word of a proxy: `x-forwarded-*` counts only from a trusted one.
"""

from collections.abc import Iterable

ASKABLE = frozenset(
    {"authorization", "x-csrf-token", "x-requested-with", "x-socket-id", "x-xsrf-token"}
)
"""Headers that a page may set itself."""

PASSED = ASKABLE | {"accept", "cookie", "origin", "referer", "user-agent"}
"""All that pass, but for `x-forwarded-*`."""

_FORWARDED = "x-forwarded-"
_JOINED = {"cookie": "; "}


def passed_headers(
    headers: Iterable[tuple[str, str]], *, from_trusted_proxy: bool
) -> list[tuple[str, str]]:
    """Return the headers that pass: names in lower case, each once, several values joined."""
    passed: dict[str, str] = {}
    for given, value in headers:
        name = given.lower()
        if name not in PASSED and not (from_trusted_proxy and _is_forwarded(name)):
            continue
        before = passed.get(name)
        passed[name] = value if before is None else _JOINED.get(name, ", ").join((before, value))
    # Whoever takes anything would get a page of HTML where it should be told why not.
    if passed.get("accept", "*/*") == "*/*":
        passed["accept"] = "application/json"
    return list(passed.items())


def _is_forwarded(name: str) -> bool:
    # Underscores and dashes are one to PHP, so that two names could be one there.
    return name.startswith(_FORWARDED) and name.replace("-", "").isalnum()
