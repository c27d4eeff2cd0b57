"""The sockets that workers listen on: one for each worker and address, all on one port."""

import asyncio
import socket
from typing import Any

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class Listeners:
    """Sockets that are bound by the parent, and listened on by workers.

    A socket that nobody listens on yet gets no connections. One whose worker has ended keeps its
    queue for the next, as long as the parent holds it.
    """

    def __init__(self, host: str, port: int, workers: int) -> None:
        self._host = host
        self._port = port
        self._addresses: list[_Address] = []
        self._sockets: list[list[socket.socket]] = [[] for _ in range(workers)]

    @property
    def port(self) -> int:
        """The port of all of them; before `open`, the one asked for."""
        return self._port

    async def open(self) -> None:
        """Bind all sockets. Port 0 becomes one free port for all.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                host, _, *rest = address
                first = _bound(family, (host, self._port, *rest), shared=False)
                self._port = first.getsockname()[1]
                self._addresses.append((family, (host, self._port, *rest)))
                # With SO_REUSEPORT alone, two parents could have one port and not know it.
                first.close()
            for worker in range(len(self._sockets)):
                self.of(worker)
        except OSError:
            await self.close()
            raise

    def of(self, worker: int) -> list[socket.socket]:
        """Return the sockets of one worker, bound anew if they were withdrawn.

        Raises:
            OSError: They cannot be bound.
        """
        sockets = self._sockets[worker]
        if not sockets:
            sockets += [_bound(*address, shared=True) for address in self._addresses]
        return sockets

    def withdraw(self, worker: int) -> None:
        """Leave new connections to the others, while this worker is away for longer.

        Whoever waits in the queue is cut off, and comes again. Where there are no others, nothing
        happens: the port is never given up.
        """
        others = [sockets for at, sockets in enumerate(self._sockets) if at != worker and sockets]
        if others:
            _close(self._sockets[worker])

    async def close(self) -> None:
        """Give up the port. Idempotent."""
        for sockets in self._sockets:
            _close(sockets)


def _bound(
    family: socket.AddressFamily, address: tuple[Any, ...], *, shared: bool
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # As asyncio does: the IPv4 address is another one of the list.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
    sockets.clear()
