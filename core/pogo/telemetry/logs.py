"""Logging: one JSON object a line in services, coloured text on a terminal, on standard error."""

import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

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


def configure_logging(log_format: LogFormat, level: LogLevel, **facts: object) -> None:
    """Send the logs of this process to standard error; the last call counts.

    Every line has the `facts`, such as which of several processes wrote it. Timestamps are ISO 8601
    in UTC. What libraries log through `logging` comes out in the same form, from warnings upwards.
    """
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    rendering = _console() if console else _JSON
    shared = (*_SHARED, _adding(facts)) if facts else _SHARED
    severity = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _StandardError())),
        # Not cached: a logger that a module made when imported follows a later configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(severity, logging.WARNING))
    logging.captureWarnings(capture=True)


class _StandardError:
    """Standard error, where what cannot be written is lost: whoever read it may have ended.

    A service goes on without its logs, and above all it stops in order without them.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def _adding(facts: Mapping[str, object]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, **facts}

    return add


def _console() -> tuple[Processor, ...]:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.plain_traceback
    return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),)
