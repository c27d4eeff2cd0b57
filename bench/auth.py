"""Measures the auth service before a real php-fpm, and what it adds to asking that directly.

    python -m bench.auth --seconds 10

The service is a `pogo authsvc` of its own; the worker signs, and does nothing else.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from tests.authsvc.helpers import CHANNEL, SOCKET_ID, WORKERS
from tests.authsvc.process import Answer, AuthProcess, Browsers
from tests.php_fpm import PhpFpm
from tests.servers import ServerError

from bench.cluster import BenchError
from bench.cpu import cpu_seconds
from bench.report import BUSY, Report
from pogo.authsvc.fastcgi_upstream import FastCgiUpstream
from pogo.authsvc.forms import encode_form
from pogo.authsvc.upstream import WorkerRequest

_SCRIPT = str(WORKERS / "behaving.php")
_FORM = encode_form([("socket_id", SOCKET_ID), ("channel_name", CHANNEL)])
_HEADERS = (("accept", "application/json"),)
_REQUEST = WorkerRequest("/pogo/auth", _FORM, _HEADERS, "localhost", "127.0.0.1")
_MAX_BODY = 16_384
_ROUNDS = 5
_BATCH = 50
_OK = 200

_PER_CORE_SECOND = 2500.0
_ADDED_MS = 0.8

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Seconds = Annotated[float, typer.Option(min=1, help="How long the service is kept busy.")]
Clients = Annotated[int, typer.Option(min=1, help="Clients that ask at a time then.")]
Children = Annotated[int, typer.Option(min=1, help="Children of php-fpm.")]
Single = Annotated[int, typer.Option(min=10, help="Requests of one client alone, each way.")]
Output = Annotated[Path | None, typer.Option(metavar="FILE", help="JSON; bench/results/ if none.")]


@app.command(epilog="Example: python -m bench.auth --seconds 5 --clients 16")
def auth(
    *,
    seconds: Seconds = 10,
    clients: Clients = 32,
    children: Children = 4,
    single: Single = 2000,
    output: Output = None,
) -> None:
    """Check the auth service against its targets: throughput for a core, and added latency.

    Processor time is what counts: the clock on the wall depends on who else uses the machine.
    """
    report = Report(
        {"seconds": seconds, "clients": clients, "children": children, "single": single},
        name="auth",
    )
    try:
        uvloop.run(_measure(report, seconds, clients, children, single))
    except (BenchError, ServerError) as error:
        report.console.print(f"[red]failed:[/] {error}")
        sys.exit(1)
    report.show()
    report.save(output)


async def _measure(
    report: Report, seconds: float, clients: int, children: int, single: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            PhpFpm(Path(folder, "fpm"), children=children) as fpm,
            # The two ways to php-fpm share its children.
            AuthProcess(
                Path(folder, "home"),
                fpm.upstream,
                _SCRIPT,
                auth_connections=str(max(1, children - 1)),
            ) as service,
        ):
            with report.step("one client, directly and through the service"):
                await _latency(report, fpm, service, single)
            with report.step(f"{clients} clients"):
                await _throughput(report, service, seconds, clients)


async def _latency(report: Report, fpm: PhpFpm, service: AuthProcess, count: int) -> None:
    """Ask both ways in turn, so that what else the machine does falls on both alike."""
    direct: list[float] = []
    through: list[Answer] = []
    upstream = FastCgiUpstream(script=_SCRIPT, max_body=_MAX_BODY, socket_path=str(fpm.socket))
    async with Browsers(service.port, 1) as browser:
        for _ in range(_ROUNDS):
            direct += await _ask_directly(upstream, count // _ROUNDS)
            through += await browser.ask_often(count // _ROUNDS)
    await upstream.close()
    _check(through)
    alone = statistics.median(direct)
    proxied = statistics.median(answer.seconds for answer in through)
    report.add("php-fpm alone, median", alone * 1000, "ms")
    report.add("through the service, median", proxied * 1000, "ms")
    report.add("added by the service, median", (proxied - alone) * 1000, "ms", _ADDED_MS)


async def _ask_directly(upstream: FastCgiUpstream, count: int) -> list[float]:
    took = []
    for _ in range(count):
        began = time.perf_counter()
        answer = await upstream.ask(_REQUEST)
        took.append(time.perf_counter() - began)
        if answer.status != _OK:
            raise BenchError(f"php-fpm answered {answer.status}")
    return took


async def _throughput(report: Report, service: AuthProcess, seconds: float, clients: int) -> None:
    """Keep the service busy, and see what it costs."""
    answers: list[Answer] = []
    async with Browsers(service.port, clients) as browsers:
        await browsers.ask_often(_BATCH)
        began, cpu, own = time.perf_counter(), cpu_seconds(service.pid), time.process_time()
        while time.perf_counter() - began < seconds:
            answers += await browsers.ask_often(_BATCH)
        lasted = time.perf_counter() - began
        used = cpu_seconds(service.pid) - cpu
        share = (time.process_time() - own) / lasted
    _check(answers)
    if share > BUSY:
        report.warn(f"the load generator itself took {share:.0%} of a core")
    took = statistics.quantiles((answer.seconds for answer in answers), n=100)
    report.add("requests", len(answers) / lasted, "/s")
    report.add("requests for a core of the service", len(answers) / used, "/s", _PER_CORE_SECOND)
    report.add("processor of the service", used / lasted, "cores")
    report.add("p50", took[49] * 1000, "ms")
    report.add("p99", took[98] * 1000, "ms")


def _check(answers: Sequence[Answer]) -> None:
    failed = [answer.status for answer in answers if answer.status != _OK]
    if failed:
        raise BenchError(f"{len(failed)} requests were not answered, the first with {failed[0]}")


if __name__ == "__main__":
    app()
