import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pogo.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Takes the arguments and `env`; returns the exit code and what was written to out and err."""


@pytest.fixture(name="pogo")
def _pogo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the command in this process: for what ends before anything is started, and far quicker.

    Its working directory is `tmp_path`, and nothing of the developer's own settings leaks in.
    """

    def run(*args: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        for name in os.environ:
            if name.startswith(("POGO_", "WS_", "REVERB_")):
                monkeypatch.delenv(name)
        for name, value in {"XDG_RUNTIME_DIR": str(tmp_path), **(env or {})}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["pogo", *args])
        # Typer replaces it.
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run
