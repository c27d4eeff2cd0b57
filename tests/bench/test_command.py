"""The command of all scenarios."""

import asyncio
import contextlib
import json
import signal
from asyncio.subprocess import Process
from pathlib import Path

from tests.bench import command

TIMEOUT = 60.0
INTERRUPTED = 130


def running(folder: Path, *arguments: str) -> contextlib.AbstractAsyncContextManager[Process]:
    """Run the command with very few clients, and write to a folder."""
    few = ("--seconds", "0.1", "--scale", "0.001", "--out", str(folder))
    return command.running("bench", *arguments, *few, patience=TIMEOUT)


async def output_until(process: Process, text: str) -> str:
    """Read what the command prints until a line contains a text, or it has ended."""
    assert process.stdout is not None
    output = ""
    async with asyncio.timeout(TIMEOUT):
        while line := (await process.stdout.readline()).decode():
            output += line
            if text in line:
                break
    return output


async def test_measures(tmp_path: Path) -> None:
    """It prints a table, and writes all that it saw, under which circumstances."""
    async with running(tmp_path, "client-events") as process:
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert 0 == process.returncode, output.decode()
    written = json.loads((tmp_path / "bench.json").read_text())
    assert {"seconds": 0.1, "scale": 0.001, "scenarios": ["client-events"]} == written["settings"]
    assert {"machine", "kernel", "before", "revision", "versions"} == written["environment"].keys()
    scenario = written["scenarios"]["client-events"]
    assert 0 < scenario["load_share"] < 1
    assert {"others", "steal"} == scenario["noise"].keys()
    assert 4 == len(scenario["rows"])
    for row in scenario["rows"]:
        assert "CPU a client event" == row["figure"]
        assert row["beside"]["lowest"] <= row["value"] <= row["beside"]["highest"]
        assert row["case"] in output.decode()


async def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    """Broken off, it ends its services, and tells what it has so far."""
    async with running(tmp_path, "client-events", "idle") as process:
        await output_until(process, "memory a connection")
        services = _descendants(process.pid)
        assert services
        process.send_signal(signal.SIGINT)
        output = await output_until(process, "targets:")
        assert INTERRUPTED == await asyncio.wait_for(process.wait(), TIMEOUT)
    assert "stopped" in output
    assert "edge, 200 B, 50 in flight" in output
    written = json.loads((tmp_path / "bench.json").read_text())
    rows = {name: scenario["rows"] for name, scenario in written["scenarios"].items()}
    assert (4, 1) == (len(rows["client-events"]), len(rows["idle"]))
    assert set() == services & _running()


async def test_names_are_checked(tmp_path: Path) -> None:
    """A scenario that there is not is refused, with the names of those that there are."""
    async with running(tmp_path, "fan-in") as process:
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert 2 == process.returncode
    assert "'fan-in'" in output.decode()
    assert "publish" in output.decode()
    assert not (tmp_path / "bench.json").exists()


def _running() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}


def _descendants(pid: int) -> set[int]:
    """Find the processes below a process."""
    parents = {}
    for one in _running():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            parents[one] = int(fields[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}
