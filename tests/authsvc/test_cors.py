"""Which pages may ask."""

import pytest

from pogo.authsvc.apps import AuthApps
from pogo.authsvc.cors import check_origin, preflight_headers
from pogo.authsvc.errors import ForbiddenOriginError
from tests.authsvc.helpers import app

ORIGIN = "https://shop.example"
NAMED = {
    "Access-Control-Allow-Origin": ORIGIN,
    "Access-Control-Allow-Credentials": "true",
    "Vary": "Origin",
}
ANY = {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}


def _apps(*origins: str, **overrides: object) -> AuthApps:
    return AuthApps([app(**overrides)], origins)


def test_no_page() -> None:
    """Who says no origin is not asked for one."""
    assert {} == check_origin(None, _apps("shop.example"))


@pytest.mark.parametrize("patterns", [[ORIGIN], ["shop.example"], ["*.example"], ["*", ORIGIN]])
def test_named(patterns: list[str]) -> None:
    """A page whose origin is named may send cookies, also where any other page may ask."""
    assert NAMED == check_origin(ORIGIN, _apps(*patterns))


@pytest.mark.parametrize("origin", [ORIGIN, "null", "https://evil.example", "x"])
def test_any_never_with_cookies(origin: str) -> None:
    """Where only `*` admits a page, it asks without its visitor's cookies."""
    assert ANY == check_origin(origin, _apps("*"))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://shop.example", "https://shop.example:444", "null", ""],
)
def test_foreign(origin: str) -> None:
    """Nobody else may."""
    with pytest.raises(ForbiddenOriginError):
        check_origin(origin, _apps(f"{ORIGIN}:443"))


def test_null_cannot_be_named() -> None:
    """It is the origin of every page that has none."""
    with pytest.raises(ForbiddenOriginError):
        check_origin("null", _apps("null"))


def test_own_origins_of_an_app() -> None:
    """They stand instead of the server's; an app that is disabled names none."""
    assert NAMED == check_origin(ORIGIN, _apps("other.example", allowed_origins=[ORIGIN]))
    for overrides in ({"allowed_origins": ["b.example"]}, {"enabled": False}):
        with pytest.raises(ForbiddenOriginError):
            check_origin(ORIGIN, _apps(ORIGIN, **overrides))


def test_preflight() -> None:
    """A browser may send what an application knows its user by."""
    allowed = preflight_headers()["Access-Control-Allow-Headers"].split(", ")

    assert {"authorization", "content-type", "x-csrf-token"} <= set(allowed)
    assert not {"cookie", "origin", "host"} & set(allowed)
