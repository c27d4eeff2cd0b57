"""The programs in C: clients that count, and the limit that a server is compared with."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from bench.cluster import BenchError
from bench.piped import Piped

_SOURCES = Path(__file__).parent / "native"
_BUILT = Path(__file__).parents[2] / ".make" / "bench"
_SHARED = ("clocks.c",)
_LOAD = ("load.c", "clients.c", "wire.c", "sha256.c", "histogram.c")
_PROGRAMS = {
    "load": (*_LOAD, "plain.c"),
    "load-tls": (*_LOAD, "tls.c"),
    "limit": ("limit.c",),
}
_LIBRARIES = {"load-tls": ("-lssl", "-lcrypto")}
_FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra")
_SPARE = 30.0
"""Seconds that an answer may take beyond the time that was asked for."""

_Reply = TypeVar("_Reply", bound=msgspec.Struct)


class Durations(msgspec.Struct, frozen=True):
    """Percentiles, in nanoseconds; `p999` is that of 99.9 %."""

    count: int
    p50: int
    p99: int
    p999: int
    max: int


class LoadFigures(msgspec.Struct, frozen=True):
    """What clients have had since they were told to begin."""

    opened: int
    """Clients that are subscribed."""
    lost: int
    """Clients whose connection was refused or closed."""
    events: int
    bytes: int
    reads: int
    fewest: int
    """Events of the client that had the fewest; `most` of the one that had the most."""
    most: int
    wall: int
    """Nanoseconds; `cpu` is what the clients used, `busy` without waiting for something to read."""
    cpu: int
    busy: int
    span: int
    """The median of the time between the first and the last arrival of one event."""
    latency: Durations
    round_trip: Durations

    @property
    def share(self) -> float:
        """The share of a core that the clients were busy for."""
        return self.busy / self.wall


class LimitFigures(msgspec.Struct, frozen=True):
    """What the bare loop did, and what it cost: nanoseconds."""

    writes: int
    cpu: int
    wall: int


class _Port(msgspec.Struct, frozen=True):
    port: int


class _Done(msgspec.Struct, frozen=True):
    """The answer that says no more than that something was done."""


def build(name: str) -> Path:
    """Compile a program, unless it is newer than all that it is made of.

    Raises:
        BenchError: There is no compiler, or it refuses the program.
    """
    program = _BUILT / name
    sources = [_SOURCES / source for source in (*_PROGRAMS[name], *_SHARED)]
    newest = max(path.stat().st_mtime for path in _SOURCES.iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError("there is no C compiler: install gcc, or another one that is called cc")
    _BUILT.mkdir(parents=True, exist_ok=True)
    command = [compiler, *_FLAGS, "-o", str(program), *map(str, sources)]
    command += _LIBRARIES.get(name, ())
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BenchError(f"{name} could not be compiled:\n{done.stderr}")
    return program


class _Program(Piped):
    """One of these programs."""

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments

    def command(self) -> Sequence[str]:
        """Return what is run."""
        return str(build(self._name)), *self._arguments

    async def _ask(self, line: str, kind: type[_Reply], seconds: float = 0) -> _Reply:
        """Have something done that may take so long, and wait until it is."""
        await self.tell(line.encode())
        return await self._answer(kind, seconds)

    async def _answer(self, kind: type[_Reply], seconds: float = 0) -> _Reply:
        return msgspec.json.decode(await self.answer(seconds + _SPARE), type=kind)


class Load(_Program):
    """Clients of the server on one port, all in one process.

    Args:
        port: Where they connect.
        app: The app's key, and its id.
        secret: What private channels are signed with.
        tls: Whether they speak TLS, which takes OpenSSL's headers to compile.
    """

    def __init__(self, port: int, app: str, secret: str, *, tls: bool = False) -> None:
        super().__init__("load-tls" if tls else "load", str(port), app, secret)

    async def open(
        self, count: int, channel: str, *, at_a_time: int = 64, seconds: float = 60
    ) -> LoadFigures:
        """Connect so many more, and subscribe each; a `*` in the channel is the client's number.

        Raises:
            BenchError: Some could not.
        """
        figures = await self._ask(f"open {count} {at_a_time} {channel}", LoadFigures, seconds)
        if figures.lost:
            raise BenchError(f"{figures.lost} connections were lost")
        return figures

    async def begin(self, *, timed: bool = False, awake: bool = True) -> None:
        """Count anew; `timed` events have the time of their publishing in them.

        Clients that stay `awake` take a core for themselves, and cost the server no waking.
        """
        await self._ask(f"begin {timed:d} {awake:d}", _Done)

    async def wait(self, events: int, seconds: float) -> LoadFigures:
        """Wait for so many events, or until the time is over, and tell what came."""
        return await self._ask(f"wait {events} {seconds * 1000:.0f}", LoadFigures, seconds)

    async def send_events(self, count: int, window: int, size: int) -> LoadFigures:
        """Have the first client send client events of so many bytes, and wait for all of them."""
        return await self._ask(f"events {count} {window} {size}", LoadFigures, 120)

    async def churn(self, pairs: int, channel: str) -> LoadFigures:
        """Have all clients subscribe and unsubscribe so many times altogether.

        A `*` in the channel is another number each time.
        """
        return await self._ask(f"churn {pairs} {channel}", LoadFigures, 120)

    async def ping(self, every: float) -> None:
        """Ping the server so often, in seconds; 0 ends it."""
        await self._ask(f"ping {every * 1000:.0f}", _Done)

    async def stall(self, count: int) -> None:
        """Have the first so many read nothing."""
        await self._ask(f"stall {count}", _Done)

    async def resume(self, count: int) -> None:
        """Have them read again."""
        await self._ask(f"resume {count}", _Done)

    async def drop(self) -> None:
        """Drop all connections."""
        await self._ask("drop", _Done)


class Limit(_Program):
    """The server that makes one `send()` a delivery, and does nothing else."""

    def __init__(self) -> None:
        super().__init__("limit")
        self.port = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.port = (await self._answer(_Port)).port
        return self

    async def send(self, rounds: int, size: int, rate: float) -> LimitFigures:
        """Write an event of so many bytes to all clients, so often, and so often a second."""
        return await self._ask(f"send {rounds} {size} {rate}", LimitFigures, rounds / rate)
