"""Runs a measurement so that Ctrl-C reaches it before it reaches the services."""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""The exit status of what Ctrl-C ended."""


def run_apart(measure: Callable[[], object]) -> NoReturn:
    """Measure in a session of its own: Ctrl-C must not end services before their measurement.

    SIGINT and SIGTERM interrupt the measurement, which keeps what it has and ends its services.
    """
    child = os.fork()
    if not child:
        os.setsid()
        measure()
        sys.exit()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGINT))
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
