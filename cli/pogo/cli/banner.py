"""What `pogo serve` shows on a terminal once it is ready."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.text import Text


def command_name() -> str:
    """Name this command as the user can type it: without its folder only if the shell finds it."""
    started = sys.argv[0]
    if Path(started).name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m pogo.cli"
    found = shutil.which(Path(started).name)
    if found is not None and Path(found).resolve() == Path(started).resolve():
        return Path(started).name
    return shlex.quote(started)


def show_banner(lines: Sequence[tuple[str, str]]) -> None:
    """Print a title, then a line for each name and what there is to know, open or type.

    A terminal that is too narrow wraps the lines itself. Without a frame, and without line ends
    of our own, a command is copied from it in one piece.
    """
    console = Console(highlight=False)
    width = max(len(name) for name, _ in lines) + 2
    console.print(f"\n[bold]Pogo WebSocket[/] {version('pogo-websocket')}\n")
    for name, text in lines:
        console.print(Text.assemble("  ", (name.ljust(width), "dim"), text), soft_wrap=True)
    console.print()
