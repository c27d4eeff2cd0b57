"""What the measurements say: lines while they run, a table, and a file."""

import contextlib
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.cpu import machine
from bench.delivery.native import LoadFigures
from bench.report import BUSY

_WIDTH = 130
"""Columns, where there is no terminal."""

_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure, or its ratio to the limit where there is one, should be."""

    value: float
    at_least: bool = False
    """Whether more is better."""

    def met_by(self, value: float) -> bool:
        """Whether a figure is as it should be."""
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {short(self.value)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    case: str
    """What was done: `1 x 1,000, 200 B`."""
    figure: str
    """What was measured: `CPU a delivery`."""
    value: float
    unit: str
    limit: float | None = None
    """The same of the bare loop, in the same run."""
    target: Target | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    """What else was seen, by name."""

    @property
    def ratio(self) -> float | None:
        """The figure over the limit's."""
        return self.value / self.limit if self.limit else None

    @property
    def met(self) -> bool | None:
        """Whether it is as it should be; `None` where nothing is asked of it."""
        if self.target is None:
            return None
        return self.target.met_by(self.value if self.ratio is None else self.ratio)


class Scenario:
    """What one scenario says."""

    def __init__(self, name: str, title: str, console: Console) -> None:
        self.name = name
        self.title = title
        self.rows: list[Row] = []
        self.warnings: list[str] = []
        self.seconds = 0.0
        self._console = console

    def add(self, row: Row) -> None:
        """Take one figure, and show it at once."""
        self.rows.append(row)
        limit = "" if row.ratio is None else f", {short(row.ratio)} x the limit"
        text = f"{row.case}: {row.figure} [bold]{short(row.value)}[/] {row.unit}{limit}"
        self._console.print(f"  {text}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Say something that the figures have to be read with."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._console.print(f"  [yellow]warning:[/] {text}", soft_wrap=True)

    def check_load(self, figures: LoadFigures) -> None:
        """Warn where the clients could have been what was measured."""
        if figures.share > BUSY:
            self.warn(f"the clients themselves were busy for {figures.share:.0%} of a core")

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON has it."""
        rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in self.rows]
        return {
            "title": self.title,
            "rows": rows,
            "warnings": self.warnings,
            "seconds": round(self.seconds, 1),
        }


class Report:
    """Collects scenarios."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.scenarios: list[Scenario] = []
        self._settings = settings
        self._machine = describe_machine()
        self.console.print(f"[dim]{self._machine}[/]")

    @contextlib.contextmanager
    def scenario(self, name: str, title: str) -> Iterator[Scenario]:
        """Collect one scenario, which counts also where it is broken off."""
        scenario = Scenario(name, title, self.console)
        self.scenarios.append(scenario)
        self.console.print(f"[bold]{name}[/]: {title}")
        began = time.monotonic()
        try:
            with self.console.status(f"measuring {name}"):
                yield scenario
        finally:
            scenario.seconds = time.monotonic() - began
            self.console.print(f"  [dim]{scenario.seconds:.0f} s[/]")

    def show(self) -> None:
        """Print the table."""
        table = Table(title="deliveries")
        for name, justify in (
            ("case", "left"),
            ("figure", "left"),
            ("measured", "right"),
            ("unit", "left"),
            ("limit", "right"),
            ("ratio", "right"),
            ("target", "right"),
            ("", "left"),
        ):
            table.add_column(name, justify="right" if justify == "right" else "left")
        for scenario in self.scenarios:
            table.add_section()
            table.add_row(f"[bold]{scenario.name}[/]")
            for row in scenario.rows:
                table.add_row(*_cells(row))
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)

    def save(self, folder: Path) -> Path:
        """Write `deliveries.json`, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "deliveries.json"
        content = {
            "machine": self._machine,
            "settings": self._settings,
            "scenarios": {scenario.name: scenario.as_dict() for scenario in self.scenarios},
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def short(number: float) -> str:
    """Write a number as people read it."""
    return f"{number:,.0f}" if abs(number) >= _HUNDRED else f"{number:.3g}"


def describe_machine() -> str:
    """Describe what the figures hold for."""
    return f"{machine()}, Linux {platform.release()}, Python {platform.python_version()}"


def _cells(row: Row) -> list[str]:
    verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
    return [
        row.case,
        row.figure,
        short(row.value),
        row.unit,
        "" if row.limit is None else short(row.limit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.target is None else str(row.target),
        verdict,
    ]
