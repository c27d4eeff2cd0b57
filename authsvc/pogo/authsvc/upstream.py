"""How the PHP worker is asked, whatever it runs in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

CONNECT_TIMEOUT = 2.0
"""Seconds in which a worker takes a connection; its answer may take longer."""

_MAX_SAID = 300


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """A `POST` of a form to the worker."""

    path: str
    body: bytes = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    """Those of the client that go through: names in lower case, each once."""
    host: str
    """What the client calls this server; empty where it did not say."""
    remote: str
    """The client's address; empty where it has none."""


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What the worker answered, not judged yet."""

    status: int
    body: bytes = field(repr=False)
    cookies: tuple[str, ...] = field(default=(), repr=False)
    """The values of its `Set-Cookie` headers."""
    retry_after: str = ""
    complaint: str = field(default="", repr=False)
    """What it wrote on standard error."""


class Upstream(Protocol):
    """A worker that can be asked by several callers at a time.

    The caller sees to how many: an upstream opens as many connections as it has calls, and keeps
    them open for the next.
    """

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Pass a request on.

        Raises:
            UnreachableError: The worker cannot be reached, or hung up before it had answered.
            InvalidAnswerError: It does not speak the protocol, or says more than it may.
        """

    async def close(self) -> None:
        """Close the connections; calls under way fail. Idempotent."""


def said_of(complaint: str) -> str:
    """Return what the log is to have of a complaint, after a colon; nothing where there is none.

    That is its first line: a stack trace has the arguments of its calls, which may be secrets.
    """
    line = complaint.strip().partition("\n")[0].strip()
    return f": {line[:_MAX_SAID]}" if line else ""
