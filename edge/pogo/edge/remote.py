"""How often somebody connects."""

from collections import OrderedDict

from pogo.pusher.rates import RateLimit

_MAX_ADDRESSES = 100_000
"""Remote addresses remembered; beyond it, the one that was quiet longest starts afresh."""


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
