"""What CI says about its steps, and about a stack that it could not test."""

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"

_MAKE = '#!/bin/sh\necho "making $1"\n[ "$1" != {failing} ]\n'
_ENGINE = "#!/bin/sh\necho 'the kernel says no'\nexit {code}\n"


def _run(folder: Path, *, engine: int = 0, failing: str = "nothing") -> tuple[int, list[str]]:
    """Run CI in a tree where steps are quick and the engine is as told; return what it printed."""
    programs = {
        ".ci/engine": _ENGINE.format(code=engine),
        "bin/make": _MAKE.format(failing=failing),
    }
    for name, text in programs.items():
        program = folder / name
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)
    script = shutil.copy(RUN, folder / ".ci")
    path = f"{folder / 'bin'}:/usr/bin:/bin"
    run = subprocess.run([script], env={"PATH": path}, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.splitlines()


def _results(printed: list[str]) -> dict[str, str]:
    """Read the table in the end: what came of each step."""
    begin = next(number for number, line in enumerate(printed) if line.endswith(" s in all ==="))
    rows = [line.split("  ") for line in printed[begin + 1 :] if "  " in line]
    return {row[0].strip(): row[-1].strip() for row in rows}


def test_everything_passes(tmp_path: Path) -> None:
    """Each step has a line in the end, the stack too."""
    code, printed = _run(tmp_path)
    results = _results(printed)
    first, *_, last = results

    assert 0 == code
    assert {"passed"} == set(results.values())
    assert ("make test", "make test-compose") == (first, last)
    assert "making test-compose" in printed


def test_no_engine_is_said_twice_and_last(tmp_path: Path) -> None:
    """The run does not fail for it, and nobody can overlook it."""
    code, printed = _run(tmp_path, engine=3)

    assert 0 == code
    assert "NOT RUN" == _results(printed)["make test-compose"]
    assert "making test-compose" not in printed
    assert ["the kernel says no"] * 2 == [line for line in printed if "kernel" in line]
    assert "THE STACK IS NOT TESTED" in printed[-1]


@pytest.mark.parametrize("code", [1, 2])
def test_an_engine_that_fails_fails_the_run(tmp_path: Path, code: int) -> None:
    """No other exit code is taken for a machine that has none."""
    failed, printed = _run(tmp_path, engine=code)

    assert code == failed
    assert "FAILED" == _results(printed)[".ci/engine"]


@pytest.mark.parametrize("failing", ["test-php", "test-compose"])
def test_a_step_that_fails_ends_the_run(tmp_path: Path, failing: str) -> None:
    """The table says which, and how the others went."""
    code, printed = _run(tmp_path, failing=failing)
    results = _results(printed)

    assert 1 == code
    assert ("passed", "FAILED") == (results["make test"], results[f"make {failing}"])
    assert f"make {failing}" == list(results)[-1]
