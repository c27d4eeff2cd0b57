"""What a measurement says: lines while it runs, a table at its end, and a file."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.cpu import machine

_RESULTS = Path(__file__).parent / "results"

_WIDTH = 110
"""Columns, where there is no terminal."""

BUSY = 0.8
"""The share of a core above which a load generator measures itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `model` is what the cost model says, where it says anything."""

    what: str
    measured: float
    unit: str = ""
    model: float | None = None


class Report:
    """Collects rows and warnings."""

    def __init__(self, settings: dict[str, object], *, name: str = "presence") -> None:
        """Report on `name`, which was measured with these settings."""
        self._name = name
        self.console = Console(stderr=True)
        self._settings = settings
        self._rows: list[Row] = []
        self._warnings: list[str] = []
        self.console.print(f"[dim]{machine()}[/]")

    def add(self, what: str, measured: float, unit: str = "", model: float | None = None) -> None:
        """Take one figure."""
        self._rows.append(Row(what, measured, unit, model))

    def warn(self, text: str) -> None:
        """Say something that the figures have to be read with."""
        self._warnings.append(text)
        self.console.print(f"[yellow]warning:[/] {text}")

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that something is under way, and how long it took."""
        began = time.monotonic()
        with self.console.status(text):
            yield
        self.console.print(f"{text} [dim]{time.monotonic() - began:.1f} s[/]")

    def show(self) -> None:
        """Print the table."""
        table = Table(title=self._name)
        table.add_column("figure", no_wrap=True)
        for name in ("model", "measured", "unit"):
            table.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
        for row in self._rows:
            model = "" if row.model is None else _short(row.model)
            table.add_row(row.what, model, _short(row.measured), row.unit)
        wide = None if sys.stdout.isatty() else _WIDTH
        Console(width=wide).print(table)

    def save(self, path: Path | None) -> None:
        """Write the file."""
        target = path or _RESULTS / f"{self._name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "machine": machine(),
            "settings": self._settings,
            "rows": [dataclasses.asdict(row) for row in self._rows],
            "warnings": self._warnings,
        }
        target.write_text(json.dumps(content, indent=2) + "\n")
        self.console.print(f"written to {target}")


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004
