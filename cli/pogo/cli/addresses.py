"""Addresses as people and clients write them."""

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared with)


def address(host: str, port: int) -> str:
    """Write `HOST:PORT`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_address(host: str, port: int) -> str:
    """Write where this machine reaches a server that listens on `host`, which may be all hosts."""
    return address(_LOOPBACK.get(host, host), port)
