"""Says what has become of the counts, and what is to be done about it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.instructions.baseline import TOLERANCE, Change, Comparison, Machine
from bench.instructions.callgrind import profile_path

FAILED = 1

_WIDTH = 130
"""Columns, where there is no terminal."""

_HUNDRED = 100


def say(text: str) -> None:
    """Tell whoever waits."""
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def show(comparisons: Sequence[Comparison]) -> None:
    """Print all counts, as a table."""
    table = Table(title="what one operation costs")
    for name in ("path", "operation", "count"):
        table.add_column(name)
    for name in ("was", "is", "change"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in comparisons:
        table.add_row(
            *(one.path, one.operation, one.what, _number(one.was), _number(one.now)),
            "" if one.growth is None else f"{one.growth:+.1%}",
            "" if one.change is Change.SMALL else one.change.value,
            style="red" if one.change.fails else "",
        )
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def refuse(was: Machine, here: Machine, *, skip: bool) -> int:
    """Say that nothing can be compared, and return the exit status."""
    say(
        f"[bold red]NOTHING WAS COMPARED:[/] the baseline is of Python {was.python} on "
        f"{was.architecture}, and this is Python {here.python} on {here.architecture}"
    )
    return 0 if skip else FAILED


def judge(comparisons: Sequence[Comparison], was: Machine, here: Machine, profiles: Path) -> int:
    """Say what is to be done, if anything, and return the exit status."""
    if all(one.change is Change.SMALL for one in comparisons):
        say(f"[green]nothing has changed by more than {TOLERANCE:.0%}[/]")
        return 0
    for difference in here.differences(was):
        say(f"since the baseline was made, {difference}")
    for path in _paths(comparisons, Change.MISSING):
        say(f"[red]{path} is in the baseline, but was not counted[/]")
    for path in _paths(comparisons, Change.GROWN):
        say(
            f"[red]{path} has grown by more than {TOLERANCE:.0%}.[/] To see where:\n"
            f"  callgrind_annotate {profile_path(profiles, path)} | head -60"
        )
    failed = any(one.change.fails for one in comparisons)
    why = "If it has to be so" if failed else "The baseline is out of date"
    say(f"{why}: python -m bench.instructions --update, and commit the new baseline.json")
    return FAILED if failed else 0


def _paths(comparisons: Sequence[Comparison], change: Change) -> list[str]:
    """Return the paths that a change is of, each once."""
    return list(dict.fromkeys(one.path for one in comparisons if one.change is change))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= _HUNDRED else f"{value:.2f}"
