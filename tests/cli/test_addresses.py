import pytest

from pogo.cli.addresses import address, local_address


@pytest.mark.parametrize(
    ("host", "written", "local"),
    [
        ("127.0.0.1", "127.0.0.1:80", "127.0.0.1:80"),
        ("0.0.0.0", "0.0.0.0:80", "127.0.0.1:80"),  # noqa: S104 (only written down)
        ("::", "[::]:80", "[::1]:80"),
        ("fe80::1", "[fe80::1]:80", "[fe80::1]:80"),
        ("pogo.example", "pogo.example:80", "pogo.example:80"),
    ],
)
def test_addresses_are_written_as_clients_take_them(host: str, written: str, local: str) -> None:
    """IPv6 in brackets; and what listens on all hosts is reached here by the loopback."""
    assert (written, local) == (address(host, 80), local_address(host, 80))
