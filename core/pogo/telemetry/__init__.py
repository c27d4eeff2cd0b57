"""What every service says about itself: structured logs and Prometheus metrics.

One log line per lifecycle event, none per message. Each service declares its metrics in a
`metrics.py` of its own, on the registry that it is given.
"""

from pogo.telemetry.logs import LogFormat, LogLevel, configure_logging, get_logger
from pogo.telemetry.metrics import MetricsServer, metrics_page

__all__ = [
    "LogFormat",
    "LogLevel",
    "MetricsServer",
    "configure_logging",
    "get_logger",
    "metrics_page",
]
