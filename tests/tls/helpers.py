"""Servers with TLS, and what their clients see."""

import asyncio
import gc
import ssl
from collections import Counter

from pogo.tls import Handshakes, ServerTls
from tests.servers import HOST, Certificate
from tests.tls.authority import Authority

TIMEOUT = 10.0


class Listener:
    """What a server shows, and how its handshakes ended."""

    def __init__(self, issued: Certificate, *, limit: int = 100) -> None:
        self.outcomes: Counter[str] = Counter()
        self.handshakes = Handshakes(limit, self._count)
        self.tls = ServerTls(str(issued.certificate), str(issued.key), handshakes=self.handshakes)

    async def until(self, outcome: str, count: int = 1) -> None:
        """Wait until so many handshakes have ended like that."""
        async with asyncio.timeout(TIMEOUT):
            while self.outcomes[outcome] < count:
                await asyncio.sleep(0.02)
                self.collect()

    @property
    def settled(self) -> bool:
        """Whether a handshake has ended, and none is under way."""
        self.collect()
        return self.outcomes.total() > 0 and self.handshakes.under_way == 0

    def collect(self) -> None:
        """Free what asyncio's own loop leaves in a cycle; uvloop leaves nothing."""
        if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
            gc.collect()

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1


def believing(authority: Authority) -> ssl.SSLContext:
    """Make the context of a client that believes an authority."""
    return ssl.create_default_context(cafile=authority.path)


async def shown(port: int, authority: Authority) -> int:
    """Connect and return the serial number of the certificate that a port shows."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=believing(authority))
    del reader
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return int(certificate["serialNumber"], 16)


async def answer_to(port: int, data: bytes) -> bytes:
    """Return what a port answers to bytes, without TLS, until it closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data)
        async with asyncio.timeout(TIMEOUT):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
