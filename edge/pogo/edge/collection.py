"""Garbage collection whose pauses do not grow with the number of connections.

A full collection goes through every object that may be in a cycle: 10,000 connections are 90 ms.
None of them is garbage, as a connection's objects are freed by their reference counts once its
socket is gone. So they are taken out of every later collection, some connections at a time.
"""

import asyncio
import gc

CONNECTIONS = 1000
"""How many come between two full collections: about 10 ms."""


class ConnectionFreezer:
    """Collects what is garbage, and freezes the rest, once enough connections have come.

    What is frozen stays so until it is freed by its reference counts: of what was alive at that
    moment, a cycle is never found. So it happens in a turn of its own, when no handshake is under
    way in a call, and what was garbage before is collected first.

    This is a matter of the whole process. One that has frozen nothing at its start is left alone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, every: int = CONNECTIONS) -> None:
        self._loop = loop
        self._every = every
        self._come = 0

    def connected(self) -> None:
        """Count a connection."""
        self._come += 1
        if self._come == self._every:
            self._loop.call_soon(self._freeze)

    def _freeze(self) -> None:
        self._come = 0
        if gc.isenabled() and gc.get_freeze_count():
            gc.collect()
            gc.freeze()
