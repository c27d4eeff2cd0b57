"""Which pages may ask, and may read the answer: cross-origin resource sharing.

Source: WHATWG Fetch, "CORS protocol". A page of an origin that the settings name may send the
user's cookies and read the answer. Where only `*` admits it, it may read answers to requests
without cookies: else any page on the web could have a visitor's browser ask for a signature.
"""

from pogo.authsvc.apps import AuthApps
from pogo.authsvc.errors import ForbiddenOriginError
from pogo.authsvc.headers import ASKABLE

_NOBODY = "null"
"""What browsers say of any page that has no origin of its own: nobody can name it."""

_MAX_AGE = "600"
"""Seconds for which a browser need not ask again whether it may."""


def check_origin(origin: str | None, apps: AuthApps) -> dict[str, str]:
    """Return the headers that let a page read the answer; `origin` is what its browser says.

    Without an origin it is no page of another site.

    Raises:
        ForbiddenOriginError: No app lets this origin connect.
    """
    if origin is None:
        return {}
    if origin != _NOBODY and apps.names_origin(origin):
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }
    if apps.any_origin:
        return {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}
    raise ForbiddenOriginError


def preflight_headers() -> dict[str, str]:
    """Return what a browser is told that asks first."""
    return {
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": ", ".join(sorted({*ASKABLE, "content-type"})),
        "Access-Control-Max-Age": _MAX_AGE,
    }
