"""What the measurements say: lines while they run, a table, and a file."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.delivery.machine import Meter, Noise, describe
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
        self.load_share: float | None = None
        """The most of a core that whoever made the load was busy for; `None`: nobody looked."""
        self.noise: Noise | None = None
        """What else the machine did meanwhile."""
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
        self.check_share(figures.share, "the clients")

    def check_share(self, share: float, who: str) -> None:
        """Take the share of a core that a process of the load was busy for; warn above 80 %."""
        self.load_share = max(share, self.load_share or 0.0)
        if share > BUSY:
            self.warn(f"{who} took {share:.0%} of a core")

    @property
    def circumstances(self) -> str:
        """How long it took, how busy the load was, and what else the machine did."""
        parts = [f"{self.seconds:.0f} s"]
        if self.load_share is not None:
            parts.append(f"load generator {self.load_share:.0%} of a core")
        return "; ".join([*parts, *([] if self.noise is None else [str(self.noise)])])

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON has it."""
        rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in self.rows]
        return {
            "title": self.title,
            "rows": rows,
            "warnings": self.warnings,
            "seconds": round(self.seconds, 1),
            "load_share": self.load_share,
            "noise": None if self.noise is None else asdict(self.noise),
        }


class Report:
    """Collects scenarios."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.scenarios: list[Scenario] = []
        self._settings = settings
        self._environment = describe()
        for name, text in self._environment.items():
            self.console.print(f"[dim]{name}: {text}[/]", soft_wrap=True)

    @contextlib.contextmanager
    def scenario(self, name: str, title: str) -> Iterator[Scenario]:
        """Collect one scenario, which counts also where it is broken off."""
        scenario = Scenario(name, title, self.console)
        self.scenarios.append(scenario)
        self.console.print(f"[bold]{name}[/]: {title}")
        began, meter = time.monotonic(), Meter.start()
        try:
            with self.console.status(f"measuring {name}"):
                yield scenario
        finally:
            scenario.seconds = time.monotonic() - began
            scenario.noise = meter.noise()
            self.console.print(f"  [dim]{scenario.circumstances}[/]", soft_wrap=True)

    def show(self) -> None:
        """Print the table."""
        table = Table()
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
            case = ""
            for row in scenario.rows:
                # Said once, for all figures of a case.
                table.add_row("" if row.case == case else row.case, *_cells(row))
                case = row.case
        console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        console.print(table)
        for scenario in self.scenarios:
            console.print(f"{scenario.name}: {scenario.circumstances}", soft_wrap=True)
            for warning in scenario.warnings:
                console.print(f"  [yellow]warning:[/] {warning}", soft_wrap=True)
        verdicts = [row.met for scenario in self.scenarios for row in scenario.rows]
        console.print(f"targets: {verdicts.count(True)} met, {verdicts.count(False)} missed")

    def save(self, folder: Path) -> Path:
        """Write `bench.json`, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "bench.json"
        content = {
            "environment": self._environment,
            "settings": self._settings,
            "scenarios": {scenario.name: scenario.as_dict() for scenario in self.scenarios},
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def short(number: float) -> str:
    """Write a number as people read it."""
    return f"{number:,.0f}" if abs(number) >= _HUNDRED else f"{number:.3g}"


def _cells(row: Row) -> list[str]:
    verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
    return [
        row.figure,
        short(row.value),
        row.unit,
        "" if row.limit is None else short(row.limit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.target is None else str(row.target),
        verdict,
    ]
