"""Connections that are written to together, with their descriptors side by side."""

from array import array
from collections.abc import Collection

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
        # None where no connection can be written to directly, as with TLS.
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
        descriptors = self._descriptors_of(start, stop)
        if descriptors is None:
            for target in connections[start:stop]:
                target.enqueue(data, messages)
            return
        short = send_all(descriptors, data)
        if short:
            part = connections[start:stop]
            _see_to([(part[position], taken) for position, taken in short], data, messages)

    def part(self, start: int, stop: int, without: Collection[object]) -> "Targets":
        """Return the connections from `start` to `stop` but for some."""
        part = self._connections[start:stop]
        return Targets(tuple(target for target in part if target not in without))

    def _descriptors_of(self, start: int, stop: int) -> "array[int] | None":
        """Return descriptors as they are now; -1 for what cannot be written to directly."""
        if self._read_at is not FD_CHANGES.latest:
            if start:
                # In the middle of a round, there is no use for those that were written to.
                return _read_descriptors(self._connections[start:stop])
            self._read_at = FD_CHANGES.latest
            self._descriptors = _read_descriptors(self._connections)
        descriptors = self._descriptors
        if descriptors is None or stop - start == len(descriptors):
            return descriptors
        return descriptors[start:stop]


def _read_descriptors(connections: tuple[SocketWriter, ...]) -> "array[int] | None":
    """Return descriptors, if any connection can be written to directly."""
    descriptors = [target.fd for target in connections]
    return array("i", descriptors) if any(fd >= 0 for fd in descriptors) else None


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
