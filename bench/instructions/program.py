"""The process whose instructions are counted: a service, and all paths through it.

    python -m bench.instructions.program bench.instructions.edge PREFIX

It runs under callgrind, whose commands come to PREFIX. Callgrind does not count before it is told
to, and writes a file with what it has counted since the last one whenever `MARK` is called. Each
path runs for some rounds, and again for twice as many: what one round costs is the difference. A
line of JSON says for each path which of the files it is in.
"""

import gc
import importlib
import itertools
import logging
import os
import subprocess
import sys
import time

import msgspec
import structlog
import uvloop

from bench.instructions.work import Service, Work, WorkError

MARK = "getsid"
"""The function of libc that has callgrind write a file: nobody else calls it."""

_WARM_UP = 12
"""Rounds before all others: CPython adapts its code to what it does."""

_SWITCH_TIMEOUT = 30.0


class Counted(msgspec.Struct, frozen=True):
    """Where the counts of a path are."""

    name: str
    operation: str
    operations: int
    """By which the counts of the second run exceed those of the first."""
    files: tuple[int, int]
    """The numbers of the files of both runs."""


async def _count(service: Service, control: str) -> None:
    marks = itertools.count(1)
    async with service() as works:
        for work in works:
            await work.run(_WARM_UP)
            await work.settle(_WARM_UP)
        _start_counting(control)
        # The collector runs by what was allocated since the start: not in every run alike.
        gc.collect()
        gc.freeze()
        gc.disable()
        for work in works:
            files = [await _run(work, rounds, marks) for rounds in (work.rounds, 2 * work.rounds)]
            counted = Counted(
                work.name, work.operation, work.rounds * work.operations, (files[0], files[1])
            )
            sys.stdout.buffer.write(msgspec.json.encode(counted) + b"\n")
            sys.stdout.flush()


async def _run(work: Work, rounds: int, marks: "itertools.count[int]") -> int:
    """Do some rounds, and return the number of the file that has their counts."""
    os.getsid(0)
    next(marks)
    await work.run(rounds)
    os.getsid(0)
    number = next(marks)
    await work.settle(rounds)
    return number


def _start_counting(control: str) -> None:
    """Have callgrind count from now on: until then, all goes several times as fast."""
    command = ["vgdb", f"--vgdb-prefix={control}", f"--pid={os.getpid()}", "instrumentation", "on"]
    switch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: S603
    assert switch.stdout is not None
    deadline = time.monotonic() + _SWITCH_TIMEOUT
    # Valgrind looks for commands between instructions of this process: it must not sleep.
    while switch.poll() is None:
        if time.monotonic() > deadline:
            switch.kill()
    if switch.returncode:
        raise WorkError(f"callgrind does not count: {switch.stdout.read().decode()}")


def _main(module: str, control: str) -> None:
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    errors = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(wrapper_class=quiet, logger_factory=errors)
    service: Service = importlib.import_module(module).service
    try:
        uvloop.run(_count(service, control))
    except WorkError as error:
        sys.exit(f"{module}: {error}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
