"""The innermost loop of the edge: the same bytes, straight to the kernel, for many sockets.

The distribution `pogo-speedups` (the folder `speedups/`) has this loop in C. Where it is installed
it is used, unless the environment says `POGO_PURE_PYTHON=1`. Both make one system call for each
socket, in the same order, and one suite of tests runs on both.
"""

import importlib
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import TypeAlias, cast

Shortfall: TypeAlias = tuple[int, int]
"""The position of a socket that did not take all bytes, and how many it took or a negative errno;
one that can take none right now took 0."""

SendAll: TypeAlias = Callable[["array[int]", bytes], Sequence[Shortfall]]

PURE_PYTHON = "POGO_PURE_PYTHON"
"""The environment variable that keeps the loop in C from being used: any text but an empty one."""


def send_all_in_python(descriptors: "array[int]", data: bytes) -> Sequence[Shortfall]:
    """Write to each socket once, without waiting, and report those that did not take everything.

    The sockets must not block. A descriptor of -1 is no socket: the kernel answers EBADF.
    """
    sent: list[int] = []
    remaining = iter(descriptors)
    while True:
        try:
            # The loop is `map`'s own: no bytecode runs between two writes. What an error
            # interrupts goes on behind the socket that it is about.
            sent.extend(map(os.write, remaining, repeat(data)))
        except BlockingIOError:
            sent.append(0)
        except OSError as error:
            sent.append(-(error.errno or 0))
        else:
            break
    size = len(data)
    if sent.count(size) == len(sent):
        return ()
    return [(position, taken) for position, taken in enumerate(sent) if taken != size]


def choose_send_all(environment: Mapping[str, str]) -> SendAll:
    """Return the loop in C where it is installed and wanted, and else the one in Python."""
    if not environment.get(PURE_PYTHON):
        try:
            return cast(SendAll, importlib.import_module("pogo_speedups").send_all)
        except ModuleNotFoundError:
            pass
    return send_all_in_python


send_all = choose_send_all(os.environ)
ACCELERATED = send_all is not send_all_in_python
"""Whether the loop in C is used."""
