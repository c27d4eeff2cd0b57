"""Logging: one JSON object a line in services, coloured text on a terminal, on standard error."""

import logging
import os
import sys
from typing import Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "json", "console"]
"""`auto` is `console` where standard error is a terminal, and else `json`."""

LogLevel = Literal["debug", "info", "warning", "error"]
"""The least severe level that is written."""

# Tracebacks are plain text: the richer formatters of structlog print local variables, and those
# of a connection or a signer hold secrets.
_SHARED: tuple[Processor, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)
_JSON: tuple[Processor, ...] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)


def get_logger() -> FilteringBoundLogger:
    """Return a logger that takes an event and its facts: `log.info("started", port=8080)`.

    May be called when a module is imported, before `configure_logging`.
    """
    return cast("FilteringBoundLogger", structlog.get_logger())


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Send the logs of this process to standard error; the last call counts.

    Timestamps are ISO 8601 in UTC. What libraries log through `logging` comes out in the same
    form, from warnings upwards.
    """
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    rendering = _console() if console else _JSON
    severity = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # Not cached: a logger that a module made when imported follows a later configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(severity, logging.WARNING))
    logging.captureWarnings(capture=True)


def _console() -> tuple[Processor, ...]:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.plain_traceback
    return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),)
