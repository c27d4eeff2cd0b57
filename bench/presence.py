"""Simulates presence on a cluster of edges, and says what it costs.

    python -m bench.presence --edges 10 --members 1000
    python -m bench.presence --storm

Every edge is a process with the real registry, membership, writer and rosters, but without sockets.
The nats-server is a real one.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from tests.servers import ServerError

from bench.cluster import BenchError
from bench.model import run_model
from bench.plan import Plan
from bench.report import Report
from bench.storm import run_storm

_INTERRUPTED = 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Edges = Annotated[int, typer.Option(min=2, help="Edges, each a process.")]
Members = Annotated[int, typer.Option(min=1, help="Members present in the whole cluster.")]
Channels = Annotated[int, typer.Option(min=1, help="Presence channels that they are spread over.")]
Spread = Annotated[
    int, typer.Option(min=0, help="Edges on which each channel has members; 0 is all of them.")
]
Rate = Annotated[
    float, typer.Option(min=0, help="Joins a second in all; 0 is as fast as possible.")
]
Seconds = Annotated[float, typer.Option(min=1, help="How long a timed phase lasts.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often all join; all leave in between.")]
Storm = Annotated[
    bool, typer.Option("--storm", help="How much one nats-server absorbs, and a dead edge.")
]
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="JSON; bench/results/ if none.")]


@app.command(epilog="Example: python -m bench.presence --edges 4 --spread 2 --seconds 5")
def presence(
    *,
    edges: Edges = 10,
    members: Members = 1000,
    channels: Channels = 20,
    spread: Spread = 0,
    joins_per_second: Rate = 0,
    seconds: Seconds = 10,
    rounds: Rounds = 3,
    storm: Storm = False,
    output: Output = None,
) -> None:
    """Check what presence costs against the cost model of docs/scaling.md.

    Processor time is what counts: the clock on the wall depends on who else uses the machine.
    """
    plan = Plan(
        edges=edges,
        members=members,
        channels=channels,
        spread=min(spread or edges, edges),
        rate=joins_per_second,
        seconds=seconds,
        rounds=rounds,
        output=output,
    )
    if not storm and plan.members <= plan.openers:
        raise typer.BadParameter(f"more than {plan.openers} members are needed: channels * spread")
    report = Report({**plan.as_dict(), "storm": storm})
    try:
        asyncio.run((run_storm if storm else run_model)(plan, report))
    except KeyboardInterrupt:
        report.console.print("stopped; nothing was written")
        sys.exit(_INTERRUPTED)
    except (BenchError, ServerError) as error:
        report.console.print(f"[red]failed:[/] {error}")
        sys.exit(1)
    report.show()
    report.save(plan.output)


if __name__ == "__main__":
    app()
