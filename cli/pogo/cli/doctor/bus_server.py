"""What is asked of the servers of the bus, whichever they are."""

import os
import time
from typing import Protocol

from pogo.bus import BusError
from pogo.cli.doctor.findings import Finding
from pogo.cluster.nodes import Node
from pogo.settings import Settings


class BusServer(Protocol):
    """The servers that the settings name. Every method may raise a `BusError`.

    All but `reach` ask one server, of those that `reach` has found if it has been called.
    """

    async def reach(self) -> Finding:
        """Log in, and judge what the servers say of themselves."""

    async def registry(self) -> Finding:
        """Judge where the state of the cluster is kept."""

    async def records(self) -> Finding:
        """Judge where message ids and cached events are kept."""

    async def webhooks(self) -> Finding:
        """Judge where events wait for webhooks."""

    async def clock(self) -> float | None:
        """Return by how many seconds the server's clock is ahead; `None` where it does not tell."""

    async def nodes(self) -> list[Node]:
        """Return the edges and brokers that have a key in the registry."""


def bus_server(settings: Settings) -> BusServer | None:
    """Make what asks the servers; none where everything is in one process.

    Raises:
        ModuleNotFoundError: Its package is not installed.
    """
    # Each needs an extra that may not be there.
    match settings.bus:
        case "nats":
            from pogo.cli.doctor.nats import NatsBusServer  # noqa: PLC0415

            return NatsBusServer(settings)
        case "redis":
            from pogo.cli.doctor.redis import RedisBusServer  # noqa: PLC0415

            return RedisBusServer(settings)
        case _:
            return None


class Stopwatch:
    """Takes the time of a question, and compares clocks by what the answer says."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._clock = time.time()

    @property
    def milliseconds(self) -> float:
        """How long it has taken so far."""
        return (time.perf_counter() - self._began) * 1000

    def ahead(self, told: float) -> float:
        """Return by how many seconds a clock is ahead that told this time half way."""
        return told - (self._clock + time.time()) / 2


def size(count: int) -> str:
    """Write a number of bytes for people."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 (each unit is that many of the one before)
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def reason_of(error: BusError) -> str:
    """Say why there is no connection, in the system's words where it is the system that says so."""
    cause = error.__cause__
    if isinstance(cause, ConnectionError) and cause.errno:
        return f"{str(error).partition(': ')[0]}: {os.strerror(cause.errno)}"
    return str(error)


def connection_advice(reason: str, setting: str) -> str:
    """Say what to do where a connection fails for a reason, in a server's or the system's words."""
    text = reason.lower()
    if any(word in text for word in ("authorization", "password", "noauth", "authentication")):
        return f"set what logs in: {setting.partition('_')[0]}_user and its neighbours"
    if any(word in text for word in ("certificate", "ssl", "tls")):
        return f"see {setting.partition('_')[0]}_tls_ca and its neighbours in docs/settings.md"
    return f"start it, or set {setting} (POGO_{setting.upper()})"
