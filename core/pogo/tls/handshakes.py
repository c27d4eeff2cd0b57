"""TLS handshakes as a listener sees them: how many are under way, and how each one ends.

A handshake that fails never reaches the protocol behind it, and event loops log it only in debug
mode, as it is the client's fault. So it is seen here, where OpenSSL does it.
"""

import ssl
from collections.abc import Callable

_PLAIN = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST")


class Handshakes:
    """Bounds the handshakes that are under way, and tells how each one ended.

    Args:
        limit: The most that may be under way; further connections are closed.
        count: Is told the outcome of each: `completed`; `plain_http`, where a client spoke HTTP;
            `rejected`, where it did not take what it was shown, the certificate most of all;
            `failed`, for whatever else it got wrong; `abandoned`, where it went away or took too
            long; `refused`, where too many were under way.
    """

    def __init__(self, limit: int, count: Callable[[str], None]) -> None:
        self.under_way = 0
        self._limit = limit
        self._count = count

    def begin(self) -> bool:
        """Note that one begins; whether it may."""
        if self.under_way >= self._limit:
            self._count("refused")
            return False
        self.under_way += 1
        return True

    def end(self, outcome: str) -> None:
        """Note that one has ended."""
        self.under_way -= 1
        self._count(outcome)


class ObservedObject(ssl.SSLObject):
    """The TLS of one connection, of a server."""

    _handshakes: Handshakes | None = None
    _is_refused = False

    def begin(self, handshakes: Handshakes) -> None:
        """Have the handshake counted there, and refused where too many are under way."""
        if handshakes.begin():
            self._handshakes = handshakes
        else:
            self._is_refused = True

    def do_handshake(self) -> None:
        """Go on with the handshake, as far as what has been received allows."""
        if self._is_refused:
            # Here, since this is where event loops expect an error.
            raise ssl.SSLError("too many handshakes are under way")
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._end(_outcome(error))
            raise
        self._end("completed")

    def __del__(self) -> None:
        # Nobody tells a handshake that its client went away. With uvloop the object goes with the
        # connection; asyncio's own loop leaves it to the garbage collector.
        self._end("abandoned")

    def _end(self, outcome: str) -> None:
        handshakes, self._handshakes = self._handshakes, None
        if handshakes is not None:
            handshakes.end(outcome)


def _outcome(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in _PLAIN:
        return "plain_http"
    return "rejected" if "ALERT" in reason else "failed"
