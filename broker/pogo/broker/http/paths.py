"""Which request a path is, wherever a proxy has put the API.

The path that a client signed may be the whole one, or the one from `/apps/` on: PHP's SDK signs
its own base path only.
"""

import enum
from typing import NamedTuple
from urllib.parse import unquote

_LONGEST = 5
"""Segments of the longest path, `apps/{id}/users/{user}/terminate_connections`."""


class Endpoint(enum.Enum):
    """What can be asked."""

    EVENTS = "events"
    BATCH_EVENTS = "batch_events"
    CHANNELS = "channels"
    CHANNEL = "channel"
    USERS = "users"
    TERMINATE = "terminate"
    CONNECTIONS = "connections"

    @property
    def method(self) -> str:
        """The HTTP method that asks it."""
        return "POST" if self in _POSTED else "GET"


_POSTED = {Endpoint.EVENTS, Endpoint.BATCH_EVENTS, Endpoint.TERMINATE}
_OF_APP = {
    "events": Endpoint.EVENTS,
    "batch_events": Endpoint.BATCH_EVENTS,
    "channels": Endpoint.CHANNELS,
    "connections": Endpoint.CONNECTIONS,
}


class Target(NamedTuple):
    """What a path asks for."""

    endpoint: Endpoint
    app_id: str
    """Empty in the path of Python's SDK, where the key alone names the app."""
    name: str
    """The channel or the user; empty where none is named."""
    signed: tuple[str, ...]
    """What the client may have signed as its path, the likeliest first."""


def find_target(path: str) -> Target | None:
    """Find out what a path, without its query, asks for; `None` where it is none of the API."""
    segments = path.split("/")
    if segments[0]:
        return None
    for start in range(max(1, len(segments) - _LONGEST), len(segments)):
        found = _match(segments[start:])
        if found is not None:
            endpoint, app_id, name = found
            return Target(endpoint, app_id, name, _signed(path, segments, start))
    return None


def _match(segments: list[str]) -> tuple[Endpoint, str, str] | None:
    """Match a whole path of the API; returns the end point, the app's id and the name."""
    if "%" in "".join(segments):
        segments = [unquote(segment) for segment in segments]
    # No app, channel or user is called nothing.
    if not all(segments):
        return None
    match segments:
        case ["apps", app_id, what] if what in _OF_APP:
            found = _OF_APP[what], app_id, ""
        case ["apps", app_id, "channels", name]:
            found = Endpoint.CHANNEL, app_id, name
        case ["apps", app_id, "channels", name, "users"]:
            found = Endpoint.USERS, app_id, name
        case ["apps", app_id, "users", name, "terminate_connections"]:
            found = Endpoint.TERMINATE, app_id, name
        case ["users", name, "terminate_connections"]:
            found = Endpoint.TERMINATE, "", name
        case _:
            return None
    return found


def _signed(path: str, segments: list[str], start: int) -> tuple[str, ...]:
    """List the whole path and that without its prefix, each as sent and decoded.

    Python's SDK signs a path before it is escaped. One with an escaped slash would then read like
    another path, so it counts only as it was sent.
    """
    if start == 1 and "%" not in path:
        return (path,)
    own = f"/{'/'.join(segments[start:])}"
    if "%2F" in path.upper():
        return tuple(dict.fromkeys((path, own)))
    return tuple(dict.fromkeys((path, own, unquote(path), unquote(own))))
