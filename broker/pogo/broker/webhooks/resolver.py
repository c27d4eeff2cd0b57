"""Resolving the names of endpoints, on threads of their own.

A name whose servers do not answer holds a thread for many seconds. On the loop's own threads, some
of those would keep the broker from finding its bus again.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 32
"""Names that are resolved at a time. More wait for their turn, and their requests may time out."""


class WebhookResolver(AbstractResolver):
    """Asks the system, on its own threads; they begin with the first name."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return all addresses of a name.

        Raises:
            OSError: It has none, or nobody answered.
        """
        loop = asyncio.get_running_loop()
        look_up = partial(socket.getaddrinfo, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await loop.run_in_executor(self._threads, look_up, host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Begin nothing new; look-ups that hang are left to end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
