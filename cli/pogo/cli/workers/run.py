"""The parent as a process: which parts it is made of."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from pogo.cli.addresses import address
from pogo.cli.runner import Node, Part, run_node
from pogo.cli.start import Flags, begin, load_for
from pogo.cli.workers.listeners import Listeners
from pogo.cli.workers.metrics import WorkerMetrics
from pogo.cli.workers.supervisor import Supervisor
from pogo.settings import Settings
from pogo.telemetry import MetricsServer, get_logger

_log = get_logger()


def run_workers(config: Path | None, flags: Flags, workers: int) -> None:
    """Run so many edges on one port, until a signal stops them.

    Raises:
        CommandError: The settings cannot be used, or something could not start.
    """
    settings = _read(config, flags)
    run_node(lambda: _node(settings, config, flags, workers))


def _read(config: Path | None, flags: Flags) -> Settings:
    settings = load_for("edge", config, flags)
    begin(settings)
    return settings


def _node(settings: Settings, config: Path | None, flags: Flags, workers: int) -> Node:
    listeners = Listeners(settings.host, settings.port, workers)
    supervisor = Supervisor(
        settings,
        config=config,
        flags=flags,
        read=lambda: _read(config, flags),
        listeners=listeners,
        workers=workers,
    )
    metrics = WorkerMetrics(supervisor.slots)
    registry = CollectorRegistry()
    registry.register(metrics)
    page = MetricsServer(registry, settings.metrics_host, settings.metrics_port, metrics.refresh)
    where = address(settings.host, settings.port)
    where_metrics = address(settings.metrics_host, settings.metrics_port)
    return Node(
        parts=[
            Part(listeners.open, listeners.close, where, "--port"),
            Part(page.start, page.stop, where_metrics, "--metrics-port"),
            Part(supervisor.start, supervisor.stop),
        ],
        announce=lambda: _log.info(
            "ready", port=listeners.port, metrics_port=page.port, workers=workers
        ),
        reload=supervisor.restart,
    )
