"""Who is connecting, and how often.

Behind a proxy every connection comes from the proxy; what it says in `X-Forwarded-For` counts only
where it is trusted, since anyone can send that header.
"""

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

from pogo.pusher.rates import RateLimit

_MAX_ADDRESSES = 100_000
"""Remote addresses remembered; beyond it, the one that was quiet longest starts afresh."""


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


class HandshakeRate:
    """The limit of new connections per remote address."""

    def __init__(self, rate: float, burst: int) -> None:
        """Allow `rate` a second (negative: any number) and up to `burst` at once."""
        self._limit = RateLimit(rate, burst)
        self._busy_until: OrderedDict[str, float] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Count one more handshake from an address, if it may have one."""
        busy_until = self._limit.take(self._busy_until.get(address, 0.0), now)
        if busy_until is None:
            return False
        self._busy_until[address] = busy_until
        self._busy_until.move_to_end(address)
        if len(self._busy_until) > _MAX_ADDRESSES:
            self._busy_until.popitem(last=False)
        return True


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
