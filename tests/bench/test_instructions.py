import asyncio
import contextlib
import json
import math
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from bench.instructions.baseline import (
    Baseline,
    BaselineError,
    Change,
    Comparison,
    Counts,
    Machine,
    compare,
)
from bench.instructions.callgrind import CountError, count
from bench.instructions.verdict import judge

ROOT = Path(__file__).parents[2]
HERE = Machine("3.11.7", "x86_64", "2.36", {"uvloop": "0.22.1"})
TIMEOUT = 240.0

# A service that is nothing but Python: each operation takes `STEPS` steps.
SERVICE = """
import contextlib
import os

from bench.instructions.work import WorkError

STEPS = int(os.environ["STEPS"])


class Steps:
    name = "steps"
    operation = "some steps"
    operations = 2
    rounds = 100
    done = 0

    async def run(self, rounds):
        for _ in range(2 * rounds):
            for _ in range(STEPS):
                self.done += 1
            os.getppid()

    async def settle(self, rounds):
        done, self.done = self.done, 0
        if done != 2 * rounds * STEPS or STEPS == 13:
            raise WorkError(f"{done} steps were done")


@contextlib.asynccontextmanager
async def service():
    yield [Steps()]
"""

valgrind = pytest.mark.load


def counts(instructions: float, system_calls: float = 1.0) -> Counts:
    """Make counts of a delivery."""
    return Counts("a delivery", instructions, system_calls)


@pytest.mark.parametrize(
    ("was", "now", "change"),
    [
        (1000, 1000, Change.SMALL),
        (1000, 1099, Change.SMALL),
        (1000, 1101, Change.GROWN),
        (1000, 901, Change.SMALL),
        (1000, 899, Change.SHRUNK),
        (0, 0, Change.SMALL),
        (0, 1, Change.GROWN),
        (None, 1000, Change.NEW),
        (1000, None, Change.MISSING),
    ],
)
def test_change(was: float | None, now: float | None, change: Change) -> None:
    """A count has grown or shrunk beyond a tenth of what it was."""
    assert change is Comparison("edge/a", "a delivery", "instructions", was, now).change


def test_both_counts_are_compared() -> None:
    """System calls grow on their own account, and paths are found by their names."""
    comparisons = compare(
        {"edge/a": counts(100), "edge/b": counts(100)},
        {"edge/c": counts(100), "edge/a": counts(100, 1.5)},
    )

    assert [
        ("edge/a", "instructions", Change.SMALL),
        ("edge/a", "system calls", Change.GROWN),
        ("edge/b", "instructions", Change.MISSING),
        ("edge/b", "system calls", Change.MISSING),
        ("edge/c", "instructions", Change.NEW),
        ("edge/c", "system calls", Change.NEW),
    ] == [(one.path, one.what, one.change) for one in comparisons]
    assert [0, 0.5] == [one.growth for one in comparisons[:2]]
    assert math.inf == compare({"a": counts(1, 0)}, {"a": counts(1, 1)})[1].growth


@pytest.mark.parametrize(
    ("was", "now", "status", "words"),
    [
        (1000, 1050, 0, ["nothing has changed"]),
        (1000, 1200, 1, ["edge/a has grown", "callgrind_annotate profiles/edge/a.callgrind"]),
        (1000, 1200, 1, ["uvloop was 0.22.1 and is 0.23.0", "--update"]),
        (1000, 700, 0, ["out of date", "--update"]),
    ],
)
def test_judgement(
    capsys: pytest.CaptureFixture[str], was: float, now: float, status: int, words: list[str]
) -> None:
    """Growth fails and says where to look; both ways, it is said how to agree to it."""
    newer = Machine(HERE.python, HERE.architecture, HERE.glibc, {"uvloop": "0.23.0"})
    comparisons = compare({"edge/a": counts(was)}, {"edge/a": counts(now)})

    assert status == judge(comparisons, HERE, newer, Path("profiles"))
    said = capsys.readouterr().err
    for text in words:
        assert text in said


def test_what_is_not_counted_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A path does not get out of the gate by not being there."""
    assert 1 == judge(compare({"edge/a": counts(1)}, {}), HERE, HERE, Path("profiles"))
    assert "edge/a is in the baseline, but was not counted" in capsys.readouterr().err


def test_machines() -> None:
    """Counts hold for one minor version of Python on one architecture."""
    assert HERE.is_like(Machine("3.11.9", "x86_64", "2.41", {}))
    assert not HERE.is_like(Machine("3.12.7", "x86_64", "2.36", {}))
    assert not HERE.is_like(Machine("3.11.7", "aarch64", "2.36", {}))
    assert HERE == msgspec.json.decode(msgspec.json.encode(HERE), type=Machine)


def test_baseline_files(tmp_path: Path) -> None:
    """What is written is read again, and nothing else is."""
    path = tmp_path / "baseline.json"
    with pytest.raises(BaselineError, match="--update"):
        Baseline.load(path)
    baseline = Baseline(HERE, {"edge/a": counts(1234.5)})
    baseline.save(path)
    assert baseline == Baseline.load(path)
    path.write_text('{"machine": {}}')
    with pytest.raises(BaselineError, match="is no baseline"):
        Baseline.load(path)


def test_baseline_of_some_runs() -> None:
    """What was not counted again stays, unless it was counted on another kind of machine."""
    old = Baseline(HERE, {"edge/a": counts(1), "edge/gone": counts(1), "broker/a": counts(1)})
    elsewhere = Machine("3.12.7", "x86_64", "2.36", {})
    new = {"edge/a": counts(2)}

    assert {**new, "broker/a": counts(1)} == old.renewed(HERE, ["edge"], new).paths
    assert Baseline(elsewhere, new) == old.renewed(elsewhere, ["edge"], new)


async def run_command(*arguments: str) -> tuple[int, str]:
    """Run the command; returns its status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.instructions", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize(("option", "expected"), [((), 1), (("--skip-elsewhere",), 0)])
async def test_other_machine(tmp_path: Path, option: tuple[str, ...], expected: int) -> None:
    """Where nothing can be compared, that is said, and it succeeds only if it was asked to."""
    path = tmp_path / "baseline.json"
    Baseline(Machine("2.7.18", "vax", "1", {}), {"edge/deliver-1": counts(1)}).save(path)

    status, said = await run_command("--baseline", str(path), *option)

    assert expected == status
    assert "NOTHING WAS COMPARED" in said
    assert "Python 2.7.18 on vax" in said


async def test_unknown_run() -> None:
    """A name that is none is told."""
    status, said = await run_command("nothing")
    assert 2 == status
    assert "there is no 'nothing'" in said


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which the module `planted` is found."""
    (tmp_path / "planted.py").write_text(SERVICE)
    return {"PYTHONPATH": f"{ROOT}:{tmp_path}"}


async def count_steps(steps: int, environment: dict[str, str], folder: Path) -> Counts:
    """Count a service whose operations take so many steps."""
    found = [one async for one in count("planted", {**environment, "STEPS": str(steps)}, folder)]
    [(name, counted)] = found
    assert "steps" == name
    return counted


@valgrind
@pytest.mark.timeout(TIMEOUT)
async def test_growth_is_found(environment: dict[str, str], tmp_path: Path) -> None:
    """What costs the same is counted alike, and a path that does an eighth more fails."""
    was = await count_steps(400, environment, tmp_path)
    again = await count_steps(400, environment, tmp_path)
    grown = await count_steps(450, environment, tmp_path)

    assert was.instructions == pytest.approx(again.instructions, rel=0.005)
    # As many as operations, and not one for what all runs have in common.
    assert was.system_calls == pytest.approx(1, abs=0.05)
    assert "fn=" in (tmp_path / "steps.callgrind").read_text()
    assert 0 == judge(compare({"a": was}, {"a": again}), HERE, HERE, tmp_path)
    assert 1 == judge(compare({"a": was}, {"a": grown}), HERE, HERE, tmp_path)


@valgrind
@pytest.mark.timeout(TIMEOUT)
async def test_what_was_not_done_is_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    """Counts of work that was not done are not taken, and it is said why."""
    with pytest.raises(CountError, match=r"planted: \d+ steps were done"):
        await count_steps(13, environment, tmp_path)


@valgrind
@pytest.mark.timeout(TIMEOUT)
async def test_services(tmp_path: Path) -> None:
    """The command counts the edge; a baseline that was a fifth lower for one path fails, there."""
    path = tmp_path / "baseline.json"
    options = ("edge", "--baseline", str(path), "--profiles", str(tmp_path / "profiles"))
    status, said = await run_command(*options, "--update")
    assert 0 == status, said
    written = json.loads(path.read_text())
    assert {"edge/deliver-1", "edge/deliver-10", "edge/client-event"} == set(written["paths"])
    # Ten messages in one turn take as many system calls as one.
    one, ten = (written["paths"][f"edge/deliver-{n}"]["system_calls"] for n in (1, 10))
    assert one == pytest.approx(1, abs=0.05)
    assert ten == pytest.approx(0.1, abs=0.005)
    written["paths"]["edge/deliver-1"]["instructions"] /= 1.2
    path.write_text(json.dumps(written))

    status, said = await run_command(*options)

    assert 1 == status, said
    assert "edge/deliver-1 has grown" in said
    assert 1 == said.count("has grown")
    assert (tmp_path / "profiles" / "edge" / "deliver-1.callgrind").exists()


@valgrind
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_can_be_stopped(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped, it leaves no process and no file behind, not even those of nats-server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.instructions", "broker"),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT):
        while not any("nats-server" in one for one in _commands(tmp_path)):  # noqa: ASYNC110 (another process starts it)
            await asyncio.sleep(0.05)
        process.send_signal(number)
        output, _ = await process.communicate()

    assert 130 == process.returncode, output.decode()
    assert b"stopped" in output
    assert [] == _commands(tmp_path)
    assert [] == _files(tmp_path)


def _files(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


def _commands(folder: Path) -> list[str]:
    """Return the command lines of the processes that were told of a folder."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            commands.append(path.read_text())
    return [command for command in commands if str(folder) in command]
