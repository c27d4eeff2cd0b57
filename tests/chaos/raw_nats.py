"""A NATS subscriber written from the protocol's description, on a thread of its own.

Nothing of Pogo or of nats-py is involved, so that what it has seen is evidence against them.
"""

import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers import HOST

_MSG = re.compile(rb"MSG \S+ 1 (\d+)\r\n")
_RETRY = 0.002
"""Seconds between attempts to connect: it has to be there before the publisher is."""


class RawSubscriber:
    """Follows a subject across restarts of the server, and passes each payload on."""

    def __init__(self, port: int, subject: str, take: Callable[[bytes], None]) -> None:
        self._port = port
        self._hello = f'CONNECT {{"verbose":false}}\r\nSUB {subject} 1\r\nPING\r\n'.encode()
        self._take = take
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="raw-nats-subscriber")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    with socket.create_connection((HOST, self._port), timeout=0.1) as server:
                        server.sendall(self._hello)
                        self._read(server)
                except OSError:  # the server is away
                    self._stopping.wait(_RETRY)
        except BaseException as error:  # noqa: BLE001 (raised in the thread that waits for this one)
            self._failure = error

    def _read(self, server: socket.socket) -> None:
        buffer = b""
        while not self._stopping.is_set():
            try:
                received = server.recv(65536)
            except TimeoutError:
                continue
            if not received:
                return
            buffer = self._parse(buffer + received, server)

    def _parse(self, buffer: bytes, server: socket.socket) -> bytes:
        """Take all complete operations, and return the rest."""
        while b"\r\n" in buffer:
            line, _, rest = buffer.partition(b"\r\n")
            message = _MSG.match(buffer)
            if message is None:
                if line.startswith(b"-ERR"):
                    raise AssertionError(line)
                if line == b"PING":
                    server.sendall(b"PONG\r\n")
                buffer = rest
                continue
            size = int(message[1])
            if len(rest) < size + 2:
                break
            self._take(rest[:size])
            buffer = rest[size + 2 :]
        return buffer
