"""What the doctor finds, in the process of the test."""

from collections.abc import Mapping

from pogo.cli.doctor import Flags
from pogo.cli.doctor.checks import all_checks
from pogo.cli.doctor.findings import Finding, Result
from pogo.cli.doctor.run import examine
from pogo.cli.doctor.targets import Targets
from pogo.settings import Settings
from tests.servers import free_port

APP_ID, SECRET = "shop", "0123456789abcdef0123"
APP = {"id": APP_ID, "secret": SECRET}
PATIENCE = 20.0
"""Seconds for each check: generous, on a machine that is busy."""

OK, WARNING, WRONG, SKIPPED = Result.OK, Result.WARNING, Result.WRONG, Result.SKIPPED

NOBODY = Flags()


def settings_of(**overrides: object) -> Settings:
    """Make settings with one app; nothing listens on their ports."""
    ports = {"port": free_port(), "grpc_port": free_port()}
    return Settings.model_validate({"apps": [APP], **ports, **overrides})


async def found(
    flags: Flags = NOBODY, *, patience: float = PATIENCE, **overrides: object
) -> Mapping[str, Finding]:
    """Return all findings by the names of their checks."""
    settings = settings_of(**overrides)
    return await examine(all_checks(settings, {}, Targets.find(settings, flags)), patience)


def results(findings: Mapping[str, Finding], *names: str) -> dict[str, Result]:
    """Return how some checks ended."""
    return {name: findings[name].result for name in names}
