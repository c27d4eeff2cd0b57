"""What can be seen without asking anybody: the settings, and what this machine allows."""

import resource
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pogo.cli.configuration import cautions
from pogo.cli.doctor.findings import Finding, ok, warning, worst, wrong
from pogo.cli.workers import worker_count
from pogo.settings import Settings

SPARE_FILES = 100
"""Files that a process has open beside its clients' connections: those to the bus, logs, pages."""

_FILE_MAX = Path("/proc/sys/fs/file-max")


async def check_settings(settings: Settings, origins: Mapping[str, str]) -> Finding:
    """Say where the settings come from; those that are wrong do not get here."""
    # Of the environment, the name of a variable is given; of a file, its path and a place in it.
    places = Counter(
        origin.partition(": ")[0] if ": " in origin else "the environment"
        for origin in origins.values()
    )
    told = ", ".join(f"{count} from {place}" for place, count in places.items())
    found = ok(f"all are valid: {told or 'everything is at its default'}")
    if settings.apps:
        return found
    if settings.bus == "memory":
        return ok(f"{found.text}; no app, so that `pogo serve` makes one for its demo")
    return wrong(
        "there is no app, so that edges and brokers do not start",
        "set POGO_APP_ID and POGO_APP_SECRET, or add an [[apps]] table to pogo.toml",
    )


async def check_secrets(settings: Settings) -> Finding:
    """Say which secrets others can guess."""
    found = cautions(settings)
    if not found:
        return ok("none that everybody knows, none that is short")
    return warning(
        "; ".join(found),
        "use random ones, as `openssl rand -hex 20` makes them; POGO_ENV=production refuses those "
        "of development",
    )


async def check_files(settings: Settings) -> Finding:
    """Compare how many files a process and the machine may open with what edges may need."""
    workers = worker_count(settings.workers)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return worst(
        [
            judge_process(_number(soft), _number(hard), settings),
            judge_machine(_file_max(), workers * (settings.max_connections + SPARE_FILES)),
        ]
    )


def judge_process(soft: int | None, hard: int | None, settings: Settings) -> Finding:
    """Judge how many files a process may open (`None`: any number), as it was started here."""
    needed = settings.max_connections + SPARE_FILES
    connections = f"max_connections is {settings.max_connections}"
    if soft is None or soft >= needed:
        return ok(f"{connections}, and a process may open {soft or 'any number of'} files")
    say = wrong if settings.env == "production" else warning
    advice = f"`ulimit -n {needed}`, LimitNOFILE={needed} in systemd, or a lower max_connections"
    if hard is not None and hard < needed:
        advice += f"; the hard limit is {hard}, which only root can raise"
    return say(f"{connections}, and a process may open {soft} files only", advice)


def judge_machine(limit: int | None, needed: int) -> Finding:
    """Judge how many files all processes may open (`None`: unknown)."""
    if limit is None or limit >= needed:
        return ok(f"all workers together need {needed} at the most")
    return warning(
        f"all workers together may need {needed} files, and the machine has {limit}",
        f"`sysctl -w fs.file-max={2 * needed}`",
    )


def _number(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


def _file_max() -> int | None:
    try:
        return int(_FILE_MAX.read_text())
    except (OSError, ValueError):
        return None
