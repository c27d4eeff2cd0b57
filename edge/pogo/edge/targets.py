"""Connections that are written to together, with their descriptors side by side."""

from array import array

from pogo.edge.sending import send_all
from pogo.edge.writer import FD_CHANGES, SocketWriter


class Targets:
    """Who gets the messages of a round, in order.

    The descriptors are kept from one round to the next, and are read anew once any socket's `fd`
    is another one. So nothing is ever written to a descriptor that is no longer its
    connection's: `fd` is -1 before the descriptor is closed (see `SocketWriter.fd`).
    """

    __slots__ = ("_connections", "_descriptors", "_read_at")

    def __init__(self, connections: tuple[SocketWriter, ...]) -> None:
        self._connections = connections
        self._descriptors: array[int] | None = None
        # The change of descriptors after which they were read.
        self._read_at: object = None

    def __len__(self) -> int:
        return len(self._connections)

    def write(self, start: int, stop: int, data: bytes, messages: int) -> None:
        """Write so many messages to the connections from `start` to `stop`, which are some."""
        connections = self._connections
        if len(connections) == 1:
            connections[0].deliver(data, messages)
            return
        short = send_all(self._descriptors_of(start, stop), data)
        if short:
            part = connections[start:stop]
            _see_to([(part[position], taken) for position, taken in short], data, messages)

    def _descriptors_of(self, start: int, stop: int) -> "array[int]":
        """Return descriptors as they are now; -1 for what cannot be written to directly."""
        connections, descriptors = self._connections, self._descriptors
        if descriptors is None or self._read_at is not FD_CHANGES.latest:
            if start:
                # In the middle of a round, there is no use for those that were written to.
                return array("i", [target.fd for target in connections[start:stop]])
            self._read_at = FD_CHANGES.latest
            descriptors = array("i", [target.fd for target in connections])
            self._descriptors = descriptors
        if stop - start == len(descriptors):
            return descriptors
        return descriptors[start:stop]


def _see_to(short: list[tuple[SocketWriter, int]], data: bytes, messages: int) -> None:
    """Deal with those that the kernel did not take all bytes for."""
    # First of all the rests, so that nothing can be written before them: a client that is closed
    # below makes others hear of it.
    for target, taken in short:
        if taken >= 0:
            target.sent_part(data, taken)
    for target, taken in short:
        if taken < 0:
            if target.fd < 0:
                target.enqueue(data, messages)
            else:
                target.write_failed()
