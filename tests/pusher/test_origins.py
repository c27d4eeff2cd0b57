import pytest

from pogo.pusher.origins import origin_allowed


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [
        ("https://example.com", "*"),
        ("null", "*"),
        ("https://example.com", "example.com"),
        ("https://example.com:8443", "example.com"),
        ("https://EXAMPLE.com", "Example.com"),
        ("https://example.com", "https://example.com"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("https://a.example.com", "*.example.com"),
        ("https://a.b.example.com", "https://*.example.com"),
        ("http://[::1]:3000", "[::1]"),
        ("http://localhost:5173", "localhost:5173"),
        ("https://example.com", "https://example.com:443"),
        ("http://example.com", "example.com:80"),
    ],
)
def test_allowed(origin: str, pattern: str) -> None:
    """A host, with a wildcard, a scheme and a port where they are given."""
    assert origin_allowed(origin, ["nowhere.test", pattern])


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [
        ("null", "example.com"),
        ("", "example.com"),
        ("https://evil.com", "example.com"),
        ("https://example.com.evil.com", "example.com"),
        ("https://evilexample.com", "example.com"),
        ("https://evilexample.com", "*.example.com"),
        ("https://example.com", "*.example.com"),
        ("http://example.com", "https://example.com"),
        ("https://example.com:8443", "https://example.com:9443"),
        ("https://example.com", "example.com:8443"),
        ("https://example.com", "example.com:80"),
        ("example.com", "example.com:443"),
        ("https://example.com:bad", "example.com"),
        ("https://evil.com/example.com", "example.com"),
        ("https://example.com@evil.com", "example.com"),
    ],
)
def test_refused(origin: str, pattern: str) -> None:
    """Everything that merely looks alike."""
    assert not origin_allowed(origin, [pattern])


def test_no_patterns_admit_no_page() -> None:
    """An empty list is not a wildcard."""
    assert not origin_allowed("https://example.com", [])


def test_no_origin_is_no_browser() -> None:
    """The rule is for pages; other clients send no Origin header."""
    assert origin_allowed(None, [])
