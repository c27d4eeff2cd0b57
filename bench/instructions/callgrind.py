"""Valgrind's callgrind, and what it has counted of a service."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from shutil import copyfile

import msgspec

from bench.instructions.baseline import Counts
from bench.instructions.program import MARK, Counted

_ROOT = Path(__file__).parents[2]
_TIMEOUT = 240.0
"""Seconds for one service, on a machine that has much else to do; alone it takes some fifteen."""
_STOP_TIMEOUT = 5.0
_LOOK_AGAIN = 0.01
_LAST_WORDS = 3000
"""Characters of what a failed process said that are shown."""

_COUNTED = msgspec.json.Decoder(Counted)
_EVENTS = ["Ir", "sysCount"]


class CountError(Exception):
    """Nothing was counted; the message says why."""


async def count(
    module: str, environment: Mapping[str, str], profiles: Path
) -> AsyncIterator[tuple[str, Counts]]:
    """Run a service under callgrind; yields the name and the counts of each of its paths.

    Args:
        module: Has the `service` (see `bench.instructions.work.Service`).
        environment: Is added to what every run has; nothing of this process's is passed on.
        profiles: The folder that gets a profile of each path, for `callgrind_annotate`.

    Raises:
        CountError: It cannot be counted.
    """
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as directory:
        folder = Path(directory)
        async with _running(module, folder, environment) as process:
            assert process.stdout is not None
            async for line in process.stdout:
                counted = _COUNTED.decode(line)
                once, twice = (folder / f"out.{number}" for number in counted.files)
                _keep(twice, profile_path(profiles, counted.name))
                yield counted.name, _difference(counted, _read(once), _read(twice))


def profile_path(profiles: Path, name: str) -> Path:
    """Return where the profile of a path is left."""
    return profiles / f"{name}.callgrind"


def _keep(file: Path, profile: Path) -> None:
    profile.parent.mkdir(parents=True, exist_ok=True)
    copyfile(file, profile)


@contextlib.asynccontextmanager
async def _running(
    module: str, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a service, and see to it that it ends, with all its children."""
    control = f"{folder}/control"
    log = folder / "log"
    try:
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                "--collect-systime=yes",
                f"--dump-before={MARK}",
                f"--callgrind-out-file={folder}/out",
                f"--vgdb-prefix={control}",
                *(sys.executable, "-m", "bench.instructions.program", module, control),
                cwd=_ROOT,
                env={**_environment(folder), **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                # So that all of it can be ended together.
                start_new_session=True,
            )
    except FileNotFoundError:
        raise CountError("valgrind is not installed") from None
    try:
        async with asyncio.timeout(_TIMEOUT):
            yield process
            status = await process.wait()
    except TimeoutError:
        raise CountError(f"{module} took more than {_TIMEOUT:.0f} s") from None
    finally:
        await _end(process)
    if status:
        raise CountError(log.read_text(errors="replace")[-_LAST_WORDS:])


def _environment(folder: Path) -> dict[str, str]:
    """Return all that a run knows of where it runs."""
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(folder),
        # Sets and dictionaries of strings have one order, and the same collisions.
        "PYTHONHASHSEED": "0",
        # Whether a pool of CPython's own allocator is just full is luck, and so is where libc's has
        # free memory beyond what a thread keeps for itself: let it keep all.
        "PYTHONMALLOC": "malloc",
        "GLIBC_TUNABLES": "glibc.malloc.tcache_count=20000",
        "PYTHONPATH": str(_ROOT),
    }


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and its children, which may outlive it. Idempotent."""
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        os.killpg(process.pid, signal.SIGTERM)
        await asyncio.wait_for(process.wait(), _STOP_TIMEOUT)
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        async with asyncio.timeout(_STOP_TIMEOUT):
            # Until there is none left to signal.
            while True:
                os.killpg(process.pid, signal.SIGKILL)
                await asyncio.sleep(_LOOK_AGAIN)


def _read(path: Path) -> list[int]:
    """Read the sums of one of callgrind's files: instructions, and system calls.

    Raises:
        CountError: It is not there, or has no such sums.
    """
    sums: dict[str, list[str]] = {}
    try:
        with path.open() as lines:
            for line in lines:
                key, _, value = line.partition(": ")
                if key in ("events", "totals"):
                    sums[key] = value.split()
    except OSError as error:
        raise CountError(f"callgrind has not written what it should: {error}") from None
    if sums.get("events", [])[: len(_EVENTS)] != _EVENTS or len(sums.get("totals", [])) < len(
        _EVENTS
    ):
        raise CountError(f"callgrind did not count {' and '.join(_EVENTS)}: {sums}")
    return [int(number) for number in sums["totals"][: len(_EVENTS)]]


def _difference(counted: Counted, once: list[int], twice: list[int]) -> Counts:
    """Tell what one operation costs: what all runs cost alike is in neither."""
    instructions, system_calls = (
        round((more - less) / counted.operations, 3) for less, more in zip(once, twice, strict=True)
    )
    return Counts(counted.operation, instructions, system_calls)
