"""Runs services for long under clients that come and go, and judges whether they stay as they are.

    python -m bench.soak --minutes 30
    python -m bench.soak --minutes 5 --bus memory

The services are processes of their own: an edge and a broker on a nats-server or a redis-server, or
`pogo serve` (the bus is `memory`). Clients sign public, private, presence and cache channels, talk,
and leave by a closing handshake or without a word; publishers use gRPC and HTTP. At the end all
clients leave. The exit status is 1 where memory has grown, where something of them remains, or
where anything went wrong.
"""

import logging
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
import uvloop
from rich.console import Console
from rich.status import Status
from tests.e2e.cluster import ServiceError
from tests.servers import ServerError

from bench.cluster import BenchError
from bench.delivery.apart import INTERRUPTED, run_apart
from bench.delivery.machine import describe
from bench.delivery.site import allow_descriptors
from bench.soak.client import Activity
from bench.soak.plot import draw
from bench.soak.samples import Sample
from bench.soak.soak import Record, Soak
from bench.soak.verdict import MEGABYTE, Check, judge
from pogo.registry import RegistryError

_RESULTS = Path(__file__).parents[1] / "results"
_TELL_EVERY = 30.0
"""Seconds between lines of progress, where there is no terminal."""


class Bus(StrEnum):
    """What is between edges and brokers."""

    NATS = "nats"
    REDIS = "redis"
    MEMORY = "memory"


Minutes = Annotated[float, typer.Option(min=0.1, help="How long clients come and go.")]
BusName = Annotated[
    Bus, typer.Option(help="What is between edge and broker; `pogo serve`: memory.")
]
Clients = Annotated[int, typer.Option(min=1, help="Places that clients take in turn.")]
Stay = Annotated[float, typer.Option(min=0.1, help="Seconds that a client stays, on average.")]
Every = Annotated[float, typer.Option(min=0.1, help="Seconds between samples.")]
Bound = Annotated[
    float,
    typer.Option(min=0, help="Percent by which memory may grow; a few MB are always allowed."),
]
Seed = Annotated[
    int | None, typer.Option(help="Of all that is left to chance; drawn if not given.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Or else a folder of bench/results.")]

console = Console(stderr=True, highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m bench.soak --minutes 5 --bus redis")
def soak(
    *,
    minutes: Minutes = 30,
    bus: BusName = Bus.NATS,
    clients: Clients = 250,
    stay: Stay = 10,
    every: Every = 5,
    bound: Bound = 2,
    seed: Seed = None,
    out: Out = None,
) -> None:
    """Have clients come and go, and tell whether anything of them stays behind."""
    chosen = secrets.randbelow(1 << 32) if seed is None else seed
    plan = Soak(bus.value, minutes * 60, clients, stay, every, chosen)
    environment = describe()
    for name, text in environment.items():
        console.print(f"[dim]{name}: {text}[/]", soft_wrap=True)
    console.print(f"soaking for {minutes:g} minutes on {bus.value}, seed {chosen}")
    allow_descriptors()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    record, status = Record(), 0
    try:
        with console.status("starting") as line:
            uvloop.run(plan.run(record, _Progress(line, plan.seconds).show))
    except KeyboardInterrupt:
        console.print("stopped")
        status = INTERRUPTED
    except (BenchError, OSError, RegistryError, ServerError, ServiceError) as error:
        console.print(f"[red]failed:[/] {error}")
        status = 1
    checks = [] if record.evidence is None else judge(record.evidence, bound / 100)
    _show(checks)
    if record.samples:
        folder = out or _RESULTS / f"soak-{time.strftime('%Y%m%d-%H%M%S')}"
        _save(folder, {"environment": environment, "settings": asdict(plan)}, record, checks)
    sys.exit(status or any(not check.passed for check in checks))


class _Progress:
    """Shows how far it is: one line that changes on a terminal, else a line now and then."""

    def __init__(self, status: Status, seconds: float) -> None:
        self._status = status
        self._seconds = seconds
        self._told = -_TELL_EVERY

    def show(self, sample: Sample, activity: Activity) -> None:
        """Show one sample."""
        memory = ", ".join(
            f"{process} {size / MEGABYTE:.1f}" for process, size in sample.resident.items()
        )
        text = (
            f"{sample.seconds / self._seconds:4.0%}: {sample.held['connections']} connections, "
            f"{activity.visits:,} visits, {activity.received:,} messages; MB: {memory}"
        )
        if console.is_terminal:
            self._status.update(text)
        elif sample.seconds - self._told >= _TELL_EVERY:
            self._told = sample.seconds
            console.print(text, soft_wrap=True)


def _show(checks: Sequence[Check]) -> None:
    for check in checks:
        verdict = "[green]yes[/]" if check.passed else "[red]no [/]"
        console.print(f"{verdict} {check.what}: {check.seen}", soft_wrap=True)


def _save(
    folder: Path, about: Mapping[str, object], record: Record, checks: Sequence[Check]
) -> None:
    """Write `soak.json` and `soak.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        **about,
        "cores": _cores(record.samples),
        "checks": [asdict(check) for check in checks],
        "activity": asdict(record.activity),
        "errors": record.errors,
        "before": record.before,
        "after": record.after,
        "samples": record.samples,
    }
    path = folder / "soak.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    console.print(f"written to {path}", soft_wrap=True)
    picture = folder / "soak.png"
    if draw(record.samples, picture):
        console.print(f"written to {picture}", soft_wrap=True)
    else:
        console.print("no picture: pip install 'pogo-websocket[bench]'")


def _cores(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the share of a core that each process used, and that the clients did."""
    first, last = samples[0], samples[-1]
    seconds = last.seconds - first.seconds or 1
    used = {name: (last.cpu[name] - cpu) / seconds for name, cpu in first.cpu.items()}
    return {name: round(share, 4) for name, share in used.items()}


if __name__ == "__main__":
    run_apart(app)
