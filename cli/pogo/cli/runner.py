"""One process that serves: how it starts, how it stops, and what signals do to it.

- Parts start in order and stop in the opposite order; what fails to start stops the others.
- SIGTERM and SIGINT stop it, and a second one ends it at once, unless it follows so closely that it
  is the first one again: who signals a process and its group, as `timeout` does, sends two.
- SIGHUP reads the apps again, once everything has started; from a terminal that was closed, it
  stops the process.
"""

import asyncio
import errno
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from pogo.bus import BusError
from pogo.cli.errors import CommandError, UsageError
from pogo.records import RecordsError
from pogo.registry import RegistryError
from pogo.telemetry import get_logger
from pogo.tls import TlsError
from pogo.webhooks import WebhookStoreError

_log = get_logger()

# Fewer and shorter pauses than the default with many connections; the oldest generation, which
# holds them, is gone through seldom.
_GC_THRESHOLDS = (2000, 10, 1000)

_SAME_SIGNAL = 0.5
"""Seconds after a signal within which another one is taken for the same."""

_STDIN = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that starts and stops with the process."""

    start: Callable[[], Awaitable[object]]
    stop: Callable[[], Awaitable[object]]
    address: str = ""
    """Where it listens, `HOST:PORT`; empty for nowhere."""
    flag: str = ""
    """What chooses the port: `--port`."""


@dataclass(frozen=True, slots=True)
class Node:
    """What one process is made of."""

    parts: Sequence[Part]
    announce: Callable[[], None]
    """Called once everything has started."""
    reload: Callable[[], None]
    """Called on SIGHUP."""
    farewell: Callable[[], None] = lambda: None
    """Called before anything stops."""


def run_node(build: Callable[[], Node]) -> None:
    """Build the node on a new event loop, and run it until a signal stops it.

    Raises:
        CommandError: A part could not start.
        UsageError: The bus cannot work with these settings.
    """
    uvloop.run(_run(build))


async def _run(build: Callable[[], Node]) -> None:
    node = build()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(received: signal.Signals) -> None:
        _log.info("stopping", signal=received.name)
        stopping.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
            # Then a signal does what it does to any process: end it.
            loop.call_later(_SAME_SIGNAL, signal.signal, number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    has_terminal = os.isatty(_STDIN)
    started, hung_up = asyncio.Event(), asyncio.Event()

    def hang_up() -> None:
        # A closing terminal sends SIGHUP too, and leaves nobody who would stop the process.
        if has_terminal and not os.isatty(_STDIN):
            stop(signal.SIGHUP)
        elif started.is_set():
            node.reload()
        else:
            hung_up.set()

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    async with AsyncExitStack() as stack:
        for part in node.parts:
            await _start(part)
            stack.push_async_callback(part.stop)
            if stopping.is_set():
                return
        _tune_garbage_collection()
        node.announce()
        stack.callback(node.farewell)
        started.set()
        if hung_up.is_set():
            node.reload()
        await stopping.wait()


async def _start(part: Part) -> None:
    try:
        await part.start()
    except OSError as error:
        if not part.address:
            raise
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"cannot listen on {part.address}: address already in use. "
                f"Stop what has the port, or choose another one with {part.flag} (0: any free one)."
            ) from None
        raise UsageError(f"cannot listen on {part.address}: {reason}") from None
    except (BusError, RecordsError, RegistryError, TlsError, WebhookStoreError) as error:
        raise UsageError(str(error)) from None


def _tune_garbage_collection() -> None:
    """Leave what was made at the start out of every later collection."""
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.collect()
    gc.freeze()
