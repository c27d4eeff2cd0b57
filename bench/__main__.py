"""Measures what Pogo costs, with real services that are driven from outside: `make bench`.

    python -m bench
    python -m bench fanout idle --seconds 5

The services are processes of their own, and so are clients and publishers; the clients are written
in C. The limit that figures are compared with is a loop of bare `send()`s to the same kind of
sockets, or what else is the least that can be done, in the same run. Processor time comes first:
it holds on a machine that does other things too. Targets are told, not enforced: the exit status is
1 where something could not be measured.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from tests.e2e.cluster import ServiceError
from tests.servers import ServerError

import bench.delivery.scenarios
import bench.publish.scenarios
from bench.cluster import BenchError
from bench.delivery.apart import INTERRUPTED, run_apart
from bench.delivery.context import Context
from bench.delivery.plot import draw
from bench.delivery.report import Report
from bench.delivery.site import allow_descriptors

_SCENARIOS = bench.delivery.scenarios.SCENARIOS | bench.publish.scenarios.SCENARIOS
_RESULTS = Path(__file__).parent / "results"
_DESCRIPTORS = 15_100

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SCENARIO]...", help=f"All of: {', '.join(_SCENARIOS)}."),
]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long one measurement lasts.")]
Scale = Annotated[
    float, typer.Option(min=0.001, max=1, help="Multiplies the numbers of clients; to try it out.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Or else a folder of bench/results.")]


@app.command(epilog="Example: python -m bench fanout --seconds 2")
def measure(
    names: Names = None, *, seconds: Seconds = 1, scale: Scale = 1, out: Out = None
) -> None:
    """Measure: a table here, and in DIR all figures as JSON and a picture for each scenario."""
    chosen = names or list(_SCENARIOS)
    for name in chosen:
        if name not in _SCENARIOS:
            raise typer.BadParameter(f"there is no {name!r}, only {', '.join(_SCENARIOS)}")
    report = Report({"seconds": seconds, "scale": scale, "scenarios": chosen})
    if allow_descriptors() < _DESCRIPTORS * scale:
        report.console.print("[yellow]warning:[/] too few open files are allowed: ulimit -n")
    status = _run(chosen, report, seconds, scale)
    if any(scenario.rows for scenario in report.scenarios):
        report.show()
        folder = out or _RESULTS / time.strftime("%Y%m%d-%H%M%S")
        report.console.print(f"written to {report.save(folder)}", soft_wrap=True)
        for path in draw(report, folder):
            report.console.print(f"written to {path}", soft_wrap=True)
    sys.exit(status)


def _run(names: list[str], report: Report, seconds: float, scale: float) -> int:
    """Measure one scenario after the other, also after one that failed; returns the exit status."""
    status = 0
    for number, name in enumerate(names, 1):
        title, run = _SCENARIOS[name]
        try:
            with report.scenario(name, f"{title} ({number} of {len(names)})") as scenario:
                uvloop.run(run(Context(scenario, seconds, scale)))
        except KeyboardInterrupt:
            report.console.print("stopped")
            return INTERRUPTED
        except (BenchError, ServerError, ServiceError) as error:
            report.console.print(f"[red]failed:[/] {error}")
            status = 1
    return status


if __name__ == "__main__":
    run_apart(app)
