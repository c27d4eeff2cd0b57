from ipaddress import ip_network

import pytest

from pogo.serving import RemoteAddresses


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1, 10.0.0.2"], "203.0.113.1"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["203.0.113.1"], "203.0.113.1"),
        ("unix", ["203.0.113.1"], "unix"),
    ],
)
def test_client_behind_proxies(peer: str, forwarded_for: list[str], client: str) -> None:
    """The nearest address that no trusted proxy has is the client's."""
    addresses = RemoteAddresses([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])

    assert client == addresses.client(peer, forwarded_for)


def test_nobody_is_trusted_by_default() -> None:
    """Without trusted proxies the header says nothing."""
    assert "127.0.0.1" == RemoteAddresses([]).client("127.0.0.1", ["203.0.113.1"])
