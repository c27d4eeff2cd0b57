import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from pogo.telemetry import configure_logging, get_logger

# As modules have it: made before logging is configured.
log = get_logger()


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Leave the process's logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert "" == captured.out
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Event and facts, the level, and the time in UTC; what is less severe is not written."""
    configure_logging("json", "info")

    log.debug("not this")
    log.info("edge started", port=8080)

    (line,) = _lines(capsys)
    time = datetime.fromisoformat(str(line.pop("timestamp")))
    assert {"event": "edge started", "level": "info", "port": 8080} == line
    assert UTC == time.tzinfo
    assert abs((datetime.now(UTC) - time).total_seconds()) < 60


def test_auto_is_json_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is no terminal here."""
    configure_logging("auto", "debug")

    log.debug("seen")

    assert ["seen"] == [line["event"] for line in _lines(capsys)]


def test_libraries_are_heard_from_warnings_upwards(capsys: pytest.CaptureFixture[str]) -> None:
    """What they log comes out in the same form, whatever the level of Pogo itself."""
    configure_logging("json", "debug")

    logging.getLogger("nats").info("chatter")
    logging.getLogger("nats").warning("lost %s", "connection")

    (line,) = _lines(capsys)
    del line["timestamp"]
    assert {"event": "lost connection", "level": "warning", "logger": "nats"} == line


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_do_not_show_local_variables(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret in a frame stays there, in our logs and in those of libraries."""
    configure_logging("json" if log_format == "json" else "console", "info")

    secret = "hunter2"

    def fail(secret: str) -> None:
        raise RuntimeError(len(secret))

    try:
        fail(secret)
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("aiohttp").exception("failed too")

    text = capsys.readouterr().err
    assert 2 == text.count("RuntimeError: 7")
    assert "hunter2" not in text


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Event first, facts after it, no colour codes where there is no terminal."""
    configure_logging("console", "warning")

    log.info("not this")
    log.warning("bus lost", bus="nats")

    (line,) = capsys.readouterr().err.splitlines()
    assert "bus lost" in line
    assert "bus=nats" in line
    assert "\x1b" not in line
