import sys
from pathlib import Path

import pytest

from pogo.cli.banner import command_name


@pytest.mark.parametrize(
    ("started", "path", "name"),
    [
        ("bin/pogo", "bin", "pogo"),
        ("bin/pogo", "elsewhere", "bin/pogo"),
        ("a b/pogo", "elsewhere", "'a b/pogo'"),
        ("cli/__main__.py", "elsewhere", f"{sys.executable} -m pogo.cli"),
    ],
)
def test_the_command_is_named_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str, path: str, name: str
) -> None:
    """By its bare name only if the shell finds this very command by it."""
    monkeypatch.chdir(tmp_path)
    program = Path(started)
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [started, "serve"])
    monkeypatch.setenv("PATH", str(tmp_path / path))

    assert name == command_name()
