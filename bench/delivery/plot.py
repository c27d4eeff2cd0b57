"""One picture for each scenario: what was measured, the limit, and the target."""

from collections.abc import Sequence
from pathlib import Path

from bench.delivery.report import Report, Row, Scenario, short

_INCHES_PER_BAR = 0.45
_WIDTH = 11
_COLOURS = {None: "#7a8ca3", True: "#3a8f5c", False: "#c0524a"}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write `SCENARIO.png` for each that has figures; none where matplotlib is not installed."""
    try:
        # Only these pictures need it.
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError:
        report.console.print("no pictures: pip install 'pogo-websocket[bench]'")
        return []
    mpl.use("agg")
    return [_draw(scenario, folder) for scenario in report.scenarios if scenario.rows]


def _draw(scenario: Scenario, folder: Path) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    groups = _by_figure(scenario.rows)
    heights = [len(rows) for rows in groups.values()]
    figure, axes = plt.subplots(
        len(groups),
        figsize=(_WIDTH, _INCHES_PER_BAR * (sum(heights) + 3 * len(groups))),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for axis, ((name, unit), rows) in zip(axes[:, 0], groups.items(), strict=True):
        places = range(len(rows))
        colours = [_COLOURS[row.met] for row in rows]
        bars = axis.barh(places, [row.value for row in rows], color=colours)
        axis.bar_label(bars, [_label(row) for row in rows], padding=4)
        for place, row in zip(places, rows, strict=True):
            if row.limit is not None:
                axis.plot([row.limit] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
        axis.set_yticks(places, [row.case for row in rows])
        axis.invert_yaxis()
        axis.margins(x=0.3)
        axis.xaxis.set_major_formatter("{x:,.10g}")
        axis.set_title(f"{name} ({unit})" if unit else name, loc="left")
    figure.suptitle(f"{scenario.name}: {scenario.title}\n(black: the limit; green: target met)")
    path = folder / f"{scenario.name}.png"
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _by_figure(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.figure, row.unit), []).append(row)
    return groups


def _label(row: Row) -> str:
    ratio = "" if row.ratio is None else f"  ({row.ratio:.2f} x the limit)"
    return short(row.value) + ratio
