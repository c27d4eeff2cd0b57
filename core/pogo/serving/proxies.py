"""Who is at the other end, where proxies stand between.

Behind a proxy every connection comes from the proxy; what it says in `X-Forwarded-For` counts only
where it is trusted, since anyone can send that header.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address


class RemoteAddresses:
    """Tells the address of a client from that of its proxies."""

    def __init__(self, trusted_proxies: Iterable[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted_proxies)

    def client(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Tell the address of the client behind `peer`.

        `forwarded_for` are the values of the `X-Forwarded-For` headers. The addresses are read
        from the end, where the nearest proxy has written: the first that is no trusted proxy, or
        no address at all, is as far as they can be believed.
        """
        if not self.trusts(peer):
            return peer
        client = peer
        for address in reversed(",".join(forwarded_for).split(",")):
            candidate = address.strip()
            if not _is_address(candidate):
                break
            client = candidate
            if not self.trusts(candidate):
                break
        return client

    def trusts(self, peer: str) -> bool:
        """Whether what this peer says of its client is believed."""
        if not self._trusted or not _is_address(peer):
            return False
        return any(ip_address(peer) in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
