"""Measures what deliveries cost, with real services that are driven from outside.

    python -m bench.delivery
    python -m bench.delivery fanout idle --seconds 5

The services are processes of their own, and so are the clients, which are written in C. The limit
that figures are compared with is a loop of bare `send()`s to the same kind of sockets, in the same
run. Processor time comes first: it holds on a machine that does other things too.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from tests.e2e.cluster import ServiceError
from tests.servers import ServerError

from bench.cluster import BenchError
from bench.delivery.context import Context
from bench.delivery.plot import draw
from bench.delivery.report import Report
from bench.delivery.scenarios import SCENARIOS
from bench.delivery.site import allow_descriptors

_RESULTS = Path(__file__).parents[1] / "results"
_INTERRUPTED = 130
_DESCRIPTORS = 15_100

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SCENARIO]...", help=f"All of: {', '.join(SCENARIOS)}."),
]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long one measurement lasts.")]
Scale = Annotated[
    float, typer.Option(min=0.001, max=1, help="Multiplies the numbers of clients; to try it out.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Or else a folder of bench/results.")]


@app.command(epilog="Example: python -m bench.delivery fanout --seconds 2")
def delivery(
    names: Names = None, *, seconds: Seconds = 1.5, scale: Scale = 1, out: Out = None
) -> None:
    """Measure deliveries: a table here, and in DIR all figures as JSON and a plot a scenario."""
    chosen = names or list(SCENARIOS)
    for name in chosen:
        if name not in SCENARIOS:
            raise typer.BadParameter(f"there is no {name!r}, only {', '.join(SCENARIOS)}")
    report = Report({"seconds": seconds, "scale": scale, "scenarios": chosen})
    if allow_descriptors() < _DESCRIPTORS * scale:
        report.console.print("[yellow]warning:[/] too few open files are allowed: ulimit -n")
    status = 0
    for name in chosen:
        title, run = SCENARIOS[name]
        try:
            with report.scenario(name, title) as scenario:
                uvloop.run(run(Context(scenario, seconds, scale)))
        except KeyboardInterrupt:
            report.console.print("stopped")
            status = _INTERRUPTED
            break
        except (BenchError, ServerError, ServiceError) as error:
            report.console.print(f"[red]failed:[/] {error}")
            status = 1
    if not any(scenario.rows for scenario in report.scenarios):
        sys.exit(status)
    report.show()
    folder = out or _RESULTS / f"delivery-{time.strftime('%Y%m%d-%H%M%S')}"
    report.console.print(f"written to {report.save(folder)}")
    for path in draw(report, folder):
        report.console.print(f"written to {path}")
    sys.exit(status)


def main() -> None:
    """Measure in a session of its own: Ctrl-C must not end services before their measurement."""
    child = os.fork()
    if not child:
        os.setsid()
        app()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGINT))
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
