"""Which headers reach the worker."""

import pytest

from pogo.authsvc.errors import BadRequestError
from pogo.authsvc.headers import MAX_HEADERS, check_host, check_remote, passed_headers

PASSING = (
    "authorization",
    "cookie",
    "origin",
    "referer",
    "user-agent",
    "x-csrf-token",
    "x-requested-with",
    "x-socket-id",
    "x-xsrf-token",
)
KEPT_BACK = (
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http_cookie",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-accel-redirect",
    "x-forwarded",
    "x-forwarded-for_",
    "x_forwarded_for",
    "x-http-method-override",
    "x-original-url",
    "x_csrf_token",
    "x-real-ip",
)
FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
JSON = ("accept", "application/json")


def _passed(*headers: tuple[str, str], trusted: bool = False) -> dict[str, str]:
    return dict(passed_headers(headers, from_trusted_proxy=trusted))


@pytest.mark.parametrize("trusted", [False, True])
def test_exactly_those_that_are_named(*, trusted: bool) -> None:
    """Names count in any case, and everything else is kept back, whoever says it."""
    given = [(name.title(), name) for name in (*PASSING, *KEPT_BACK)]

    assert {name: name for name in PASSING} | dict([JSON]) == _passed(*given, trusted=trusted)


def test_named_by_connection() -> None:
    """What `Connection` lists passes if it is named here: it is a new connection's request."""
    headers = [("Connection", "x-hop, cookie"), ("X-Hop", "1"), ("Cookie", "a=b")]

    assert {"cookie": "a=b", **dict([JSON])} == _passed(*headers)


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded_counts_from_a_trusted_proxy_only(name: str) -> None:
    """Anyone else could say anything of itself."""
    assert dict([JSON]) == _passed((name, "10.0.0.1"))
    assert {name: "10.0.0.1", **dict([JSON])} == _passed((name, "10.0.0.1"), trusted=True)


@pytest.mark.parametrize("name", ["x-forwarded-for_", "x-forwarded-a.b", "x-forwarded-"])
def test_forwarded_by_a_name_that_php_reads_as_another(name: str) -> None:
    """A proxy passes on what it does not know: an underscore would be a dash to PHP."""
    passed = _passed((name, "1"), ("x-forwarded-for", "2"), trusted=True)

    assert {"x-forwarded-for": "2", **dict([JSON])} == passed


def test_accept_is_always_json() -> None:
    """Else an application could answer with a page."""
    assert dict([JSON]) == _passed(("Accept", "text/html"))
    assert dict([JSON]) == _passed()


def test_several_values() -> None:
    """They are joined as their kind is."""
    headers = [("Cookie", "a=1"), ("cookie", "b=2"), ("X-CSRF-Token", "x"), ("x-csrf-token", "y")]

    assert {"cookie": "a=1; b=2", "x-csrf-token": "x, y", **dict([JSON])} == _passed(*headers)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "a\x7fb"])
@pytest.mark.parametrize("name", ["Cookie", "X-Forwarded-Host"])
def test_control_characters(name: str, value: str) -> None:
    """Nobody writes a second header into the value of one."""
    with pytest.raises(BadRequestError):
        _passed((name, value), trusted=True)


def test_too_long() -> None:
    """What php-fpm could not read never reaches it, in one piece or in many."""
    long = "x" * (MAX_HEADERS // 2)
    for headers in ([("Cookie", long * 2)], [("Cookie", long), ("Cookie", long)]):
        with pytest.raises(BadRequestError) as caught:
            _passed(*headers)
        assert 431 == caught.value.status


@pytest.mark.parametrize(
    "host", ["", "shop.example", "shop.example:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "a_b"]
)
def test_host(host: str) -> None:
    """It is a name or an address, with or without a port."""
    assert host == check_host(host)


@pytest.mark.parametrize(
    "host",
    ["a b", "a/b", "a\r\nX: y", "a:b", "a:123456", "::1", "[::1", "a@b", "a:1:2", "é", "x" * 256],
)
def test_no_host(host: str) -> None:
    """Links that an application makes of it lead nowhere else."""
    with pytest.raises(BadRequestError):
        check_host(host)


@pytest.mark.parametrize("remote", ["", "10.0.0.1", "::1", "2001:db8::1"])
def test_remote(remote: str) -> None:
    """It is an address, or nothing is known."""
    assert remote == check_remote(remote)


@pytest.mark.parametrize("remote", ["localhost", "10.0.0.1, 1.2.3.4", "10.0.0.1\r\nX: y", "1.2.3"])
def test_no_remote(remote: str) -> None:
    """Nothing else can be written there."""
    with pytest.raises(BadRequestError):
        check_remote(remote)
