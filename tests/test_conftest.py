import os
import subprocess
import sys
from pathlib import Path

import pytest

_SKIPPED_TEST = 'import pytest\ndef test(): pytest.skip("no such server")\n'
_SKIPPED_MODULE = 'import pytest\npytest.skip("no such server", allow_module_level=True)\n'
_EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test(): assert False\n"


@pytest.mark.parametrize(
    ("source", "ci", "succeeds"),
    [
        (_SKIPPED_TEST, "", True),
        (_SKIPPED_TEST, "true", False),
        (_SKIPPED_MODULE, "true", False),
        (_EXPECTED_FAILURE, "true", True),
    ],
)
def test_skip_fails_the_run_in_ci(tmp_path: Path, source: str, ci: str, *, succeeds: bool) -> None:
    """A skipped test or module fails the run where CI is set, and only there."""
    test = tmp_path / "test_it.py"
    test.write_text(source + "def test_pass(): pass\n")
    command = [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), "-p", "tests.conftest"]

    run = subprocess.run(
        [*command, "-c", os.devnull, str(test)],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"CI": ci},
        capture_output=True,
        check=False,
    )

    assert succeeds == (run.returncode == 0), run.stdout.decode()
