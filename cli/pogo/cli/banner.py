"""What `pogo serve` shows on a terminal once it is ready."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
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
    """Print a panel with a line for each name and what there is to know, open or type."""
    table = Table.grid(padding=(0, 2))
    for name, text in lines:
        table.add_row(Text(name, "dim"), Text(text, overflow="fold"))
    title = f"[bold]Pogo WebSocket[/] {version('pogo-websocket')}"
    Console(highlight=False).print(Panel(table, title=title, title_align="left", expand=False))
