"""Fails where a hot path takes over 10 % more instructions or system calls than it did.

    python -m bench.instructions
    python -m bench.instructions --update

Each service runs under callgrind: what it counts hardly depends on what else the machine does. The
counts are compared with those in baseline.json, which `--update` writes anew.
"""

import asyncio
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.instructions.baseline import Baseline, BaselineError, Counts, Machine, compare
from bench.instructions.callgrind import CountError, count
from bench.instructions.runs import RUNS
from bench.instructions.verdict import FAILED, judge, refuse, say, show

_BASELINE = Path(__file__).parent / "baseline.json"
_PROFILES = Path(__file__).parents[1] / "results" / "instructions"
_INTERRUPTED = 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[RUN]...", help=f"All of: {', '.join(RUNS)}.")
]
Update = Annotated[bool, typer.Option("--update", help="Write the baseline anew.")]
BaselineFile = Annotated[
    Path, typer.Option("--baseline", metavar="FILE", help="What to compare with.")
]
Profiles = Annotated[
    Path, typer.Option(metavar="DIR", help="Where profiles for callgrind_annotate are left.")
]
Times = Annotated[
    int, typer.Option(min=1, help="Count so often, take the medians, and tell the spread.")
]
SkipElsewhere = Annotated[
    bool,
    typer.Option(
        "--skip-elsewhere",
        help="Succeed, with nothing compared, where Python or the architecture is another one.",
    ),
]


@app.command(epilog="Example: python -m bench.instructions edge --times 5")
def instructions(
    names: Names = None,
    *,
    update: Update = False,
    baseline: BaselineFile = _BASELINE,
    profiles: Profiles = _PROFILES,
    times: Times = 1,
    skip_elsewhere: SkipElsewhere = False,
) -> None:
    """Count the instructions of the hottest paths, and fail where they grew by more than 10 %."""
    chosen = _choose(names)
    here = Machine.here()
    try:
        old = Baseline(here, {})
        if not update or baseline.exists():
            old = Baseline.load(baseline)
        if not update and not here.is_like(old.machine):
            sys.exit(refuse(old.machine, here, skip=skip_elsewhere))
        counts = asyncio.run(_count(chosen, profiles, times))
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(_INTERRUPTED)
    except (BaselineError, CountError) as error:
        say(f"[red]failed:[/] {error}")
        sys.exit(FAILED)
    known = {path: each for path, each in old.paths.items() if path.partition("/")[0] in chosen}
    comparisons = compare(known, counts)
    show(comparisons)
    if not update:
        sys.exit(judge(comparisons, old.machine, here, profiles))
    old.renewed(here, chosen, counts).save(baseline)
    say(f"written to {baseline}")


def _choose(names: Sequence[str] | None) -> list[str]:
    """Return the runs that were asked for, or all that are possible."""
    for name in names or ():
        if name not in RUNS:
            raise typer.BadParameter(f"there is no {name!r}, only {', '.join(RUNS)}")
        if not RUNS[name].is_possible:
            raise typer.BadParameter(f"{name} needs {RUNS[name].needs}, which is not installed")
    for name, run in RUNS.items():
        if not names and not run.is_possible:
            say(f"[yellow]warning:[/] without {run.needs}, {name} is not counted")
    return list(names or (name for name, run in RUNS.items() if run.is_possible))


async def _count(names: Sequence[str], profiles: Path, times: int) -> dict[str, Counts]:
    """Count all paths of some runs, and tell how it goes."""
    counts: dict[str, list[Counts]] = {}
    for _ in range(times):
        for name in names:
            run, began = RUNS[name], time.monotonic()
            say(f"[bold]{name}[/]: starting under callgrind")
            async for path, one in count(run.module, run.environment, profiles / name):
                counts.setdefault(f"{name}/{path}", []).append(one)
                say(
                    f"  {path}: {one.instructions:,.0f} instructions, {one.system_calls:.2f} "
                    f"system calls: {one.operation} [dim]{time.monotonic() - began:.0f} s[/]"
                )
    if times > 1:
        _tell_spread(counts)
    return {path: _median(each) for path, each in counts.items()}


def _tell_spread(counts: Mapping[str, Sequence[Counts]]) -> None:
    """Tell how far apart the lowest and the highest of several counts are."""
    for path, each in counts.items():
        all_of_them = [one.instructions for one in each]
        spread = (max(all_of_them) - min(all_of_them)) / statistics.median(all_of_them)
        say(f"{path}: {len(each)} counts of instructions, {spread:.2%} apart")


def _median(counts: Sequence[Counts]) -> Counts:
    return Counts(
        counts[0].operation,
        statistics.median(one.instructions for one in counts),
        statistics.median(one.system_calls for one in counts),
    )


def main() -> None:
    """Count; SIGTERM stops it like Ctrl-C, with all that it has started."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    app()


if __name__ == "__main__":
    main()
