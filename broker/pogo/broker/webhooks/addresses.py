"""Keeping webhooks out of one's own network, where `webhook_private_addresses` is false.

The address is judged as the socket for it is made. So it does not matter how it was come by: names
are resolved anew now and then, and whoever owns one may let it lead elsewhere by then.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 as networks without it see it (RFC 6052): the last four bytes are the address."""

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""An address to connect to, as `socket.getaddrinfo` has it."""


class PrivateAddressError(OSError):
    """An endpoint is where it may not be. It does not say where."""

    def __init__(self) -> None:
        super().__init__("its address is not public")


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the internet at large, as do all that are embedded in it."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return _is_public(address)
    inner = _embedded(address)
    if inner:
        return all(map(_is_public, inner))
    return _is_public(address) and not address.is_site_local


def public_socket(info: AddressInfo) -> socket.socket:
    """Make the socket that is to connect to an address; for `aiohttp.TCPConnector`.

    Raises:
        PrivateAddressError: The address is not public.
    """
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise PrivateAddressError
    return socket.socket(family, kind, protocol)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that packets to an IPv6 address may end up at."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return []
