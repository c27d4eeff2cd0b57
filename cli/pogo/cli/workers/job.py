"""What the parent tells a worker on its command line. No secret is in it: `ps` shows it."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from pogo.cli.errors import UsageError


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's."""

    number: int
    """Which worker it is, from 0."""
    config: str | None
    """The file of the settings, which the worker reads itself."""
    flags: Mapping[str, int | str | None]
    """Settings from the command line."""
    listeners: Sequence[int]
    """Descriptors of the sockets to listen on."""
    link: int
    """The descriptor of the connection to the parent."""
    takes_over: bool
    """Whether there is a worker that serves and that this one replaces: then this one must not
    serve unless it can."""

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote.

        Raises:
            UsageError: It is something else.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            raise UsageError("a worker is started by `pogo edge --workers N` only") from None

    def encode(self) -> str:
        """Write it as one argument of a command."""
        return msgspec.json.encode(self).decode()

    @property
    def config_path(self) -> Path | None:
        """The file of the settings as a path."""
        return None if self.config is None else Path(self.config)

    def open_listeners(self) -> list[socket.socket]:
        """Take over the sockets to listen on."""
        return [socket.socket(fileno=number) for number in self.listeners]

    def open_link(self) -> socket.socket:
        """Take over the connection to the parent."""
        return socket.socket(fileno=self.link)
