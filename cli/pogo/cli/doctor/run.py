"""All checks at a time, and what becomes of them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from pogo.cli.configuration import describe
from pogo.cli.doctor.checks import all_checks
from pogo.cli.doctor.findings import Check, Finding, FoundError, Result, skipped, wrong
from pogo.cli.doctor.report import as_json, as_text
from pogo.cli.doctor.targets import Flags, Targets
from pogo.cli.errors import UsageError
from pogo.settings import SettingsError, trace_settings
from pogo.telemetry import configure_logging, get_logger

_log = get_logger()


def doctor(config: Path | None, flags: Flags, *, patience: float, json: bool) -> None:
    """Print what every check finds.

    Args:
        config: The file with the settings.
        flags: Which services are tried.
        patience: Seconds that each check is given.
        json: Whether programs read it.

    Raises:
        UsageError: The settings cannot be used, a flag is wrong, or a package is missing.
        typer.Exit: Something is wrong; with exit code 1.
    """
    try:
        settings, origins = trace_settings(config, os.environ)
    except SettingsError as error:
        raise UsageError(describe(error)) from None
    checks = all_checks(settings, origins, Targets.find(settings, flags))
    # What connections log on their way is in the findings.
    configure_logging("console", "error")
    findings = asyncio.run(examine(checks, patience))
    typer.echo(as_json(findings) if json else as_text(findings))
    if any(finding.result is Result.WRONG for finding in findings.values()):
        raise typer.Exit(1)


async def examine(checks: Sequence[Check], patience: float) -> Mapping[str, Finding]:
    """Do all checks at a time; returns what they found by their names, in their order.

    Each may take `patience` seconds, from the end of the one that it needs.
    """
    tasks: dict[str, asyncio.Task[Finding]] = {}
    async with asyncio.TaskGroup() as group:
        for check in checks:
            needed = tasks.get(check.needs)
            tasks[check.name] = group.create_task(_examine(check, needed, patience))
    return {name: task.result() for name, task in tasks.items()}


async def _examine(check: Check, needed: asyncio.Task[Finding] | None, patience: float) -> Finding:
    if needed is not None and (await needed).stands_in_the_way:
        return skipped(f"not looked at, because of what is found of the {check.needs}")
    within = patience + check.patience
    try:
        async with asyncio.timeout(within):
            return await check.look()
    except FoundError as error:
        return error.finding
    except TimeoutError:
        return wrong(
            f"nothing was heard within {within:g} s",
            "see whether it is overloaded or a firewall drops packets; --timeout gives it longer",
        )
    except Exception as error:  # noqa: BLE001 (a safety net)
        # The other checks are worth as much. No text of it, which could hold anything.
        _log.exception("a check failed", check=check.name)
        return wrong(f"the check itself failed: {type(error).__name__}", "report this as a bug")
