"""A soak of a minute."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.bench import command

TIMEOUT = 160.0
INTERRUPTED = 130
BOUND = 5
"""Percent: within a minute, buffers and pools still grow."""

pytestmark = [pytest.mark.load, pytest.mark.timeout(240)]


def soaking(folder: Path, *arguments: str) -> AbstractAsyncContextManager[Process]:
    """Run a soak that samples every second, and writes to a folder."""
    short = ("--out", str(folder), "--seed", "1", "--every", "1", "--bound", str(BOUND))
    return command.running("bench.soak", *short, *arguments, patience=TIMEOUT)


@pytest.mark.parametrize("bus", ["nats", "redis", "memory"])
async def test_nothing_remains(tmp_path: Path, bus: str) -> None:
    """Memory stays while hundreds of clients come and go, and nothing remains of them."""
    async with soaking(tmp_path, "--bus", bus, "--minutes", "1", "--stay", "4") as process:
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert 0 == process.returncode, output.decode()
    written = json.loads((tmp_path / "soak.json").read_text())
    activity = written["activity"]
    assert activity["visits"] > 1000
    assert activity["received"] > 10 * activity["visits"]
    assert activity["client_events"] > 300
    assert activity["published"] > 300
    assert {} == activity["faults"]
    assert written["samples"][-1]["held"]["connections"] > 100
    entries = [sample["held"].get("registry entries", 0) for sample in written["samples"]]
    assert (max(entries) > 100) == (bus != "memory")
    assert all(check["passed"] for check in written["checks"])
    assert (7 if bus == "memory" else 12) == len(written["checks"])


async def test_ctrl_c_keeps_what_was_seen(tmp_path: Path) -> None:
    """Broken off, it writes its samples, and has judged nothing."""
    async with soaking(tmp_path, "--bus", "memory", "--minutes", "2") as process:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            while b" visits, " not in await process.stdout.readline():
                pass
        process.send_signal(signal.SIGINT)
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert INTERRUPTED == process.returncode, output.decode()
    assert b"stopped" in output
    written = json.loads((tmp_path / "soak.json").read_text())
    assert written["samples"]
    assert [] == written["checks"]
