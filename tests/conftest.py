"""What holds for every test: in CI, a skipped test is a failure."""

import os

import pytest


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", ())) if reporter else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when CI is set and a test was skipped: a missing part must not go unseen."""
    if os.environ.get("CI") and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the run failed."""
    if os.environ.get("CI") and (skipped := _skipped(terminalreporter.config)):
        terminalreporter.write_line(f"{skipped} skipped: in CI this fails the run", red=True)
