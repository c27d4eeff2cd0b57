"""Commands of `bench`, as processes."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def running(module: str, *arguments: str, patience: float) -> AsyncIterator[Process]:
    """Run a command; what is left of it at the end is asked to stop, within so many seconds."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments), cwd=_ROOT, stdout=PIPE, stderr=STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), patience)
