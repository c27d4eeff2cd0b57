"""What HTTP servers need beside aiohttp."""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pogo.tls import ServerTls

_CLIENT_FAULTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
"""What a request that cannot be read, or whose client went away, raises in aiohttp."""

_GOODBYE_TIMEOUT = 5.0
"""Seconds that a client has to answer the end of TLS; an event loop would wait for 30."""


def client_fault_filter(record: logging.LogRecord) -> bool:
    """Whether a record is about more than a request that could not be read.

    A filter for the logger of a server: aiohttp logs what a client gets wrong as its own error.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_FAULTS))


def tls_options(tls: ServerTls | None, handshake_timeout: float) -> dict[str, Any]:
    """Return what `loop.create_server` takes for TLS: nothing where there is none.

    Args:
        tls: What the listener shows.
        handshake_timeout: Seconds that a client has for its TLS handshake.
    """
    if tls is None:
        return {}
    return {
        "ssl": tls.context,
        "ssl_handshake_timeout": handshake_timeout,
        "ssl_shutdown_timeout": _GOODBYE_TIMEOUT,
    }


class HttpSite(web.BaseSite):
    """Where a runner listens: aiohttp's own `TCPSite`, with a bound on TLS handshakes.

    Args:
        runner: Is set up already.
        host: The address to listen on.
        port: 0 takes any free one.
        tls: What it shows; none to do without TLS.
        handshake_timeout: Seconds that a client has for its TLS handshake.
        backlog: Connections that the kernel accepts ahead of the server.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        *,
        tls: ServerTls | None,
        handshake_timeout: float,
        backlog: int = 128,
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._where = (host, port)
        self._tls = tls
        self._handshake_timeout = handshake_timeout

    @property
    def name(self) -> str:
        """Where it listens, as a URL."""
        host, port = self._where
        return f"{'http' if self._tls is None else 'https'}://{host}:{port}"

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The address cannot be listened on; another process may have the port.
        """
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            server,
            *self._where,
            backlog=self._backlog,
            **tls_options(self._tls, self._handshake_timeout),
        )
