"""What services have in common before they start: settings that can work, and logs."""

from collections.abc import Mapping
from pathlib import Path

from pogo.cli.apps import with_apps
from pogo.cli.configuration import cautions, load
from pogo.cli.errors import UsageError
from pogo.cli.tls import exposed_keys
from pogo.settings import Settings
from pogo.telemetry import configure_logging, get_logger

Flags = Mapping[str, int | str | None]
"""Settings from the command line; `None` for a flag that was not given."""

_log = get_logger()


def load_for(service: str, config: Path | None, flags: Flags) -> Settings:
    """Load the settings of a service that runs apart from the others.

    Raises:
        UsageError: It cannot work with them.
    """
    settings = load(config, flags)
    if settings.bus == "memory":
        raise UsageError(
            f"`pogo {service}` meets the other services on a bus, and bus = 'memory' ends with "
            "the process. Set bus to 'nats' or 'redis', or run `pogo serve`, which is everything "
            "in one process."
        )
    if service == "edge" and settings.subscribe_without_auth and not settings.auth_service:
        raise UsageError("subscribe_without_auth needs auth_service, the gRPC host:port to ask")
    return with_apps(settings)


def begin(settings: Settings) -> None:
    """Set logging up, and say what should be known of the settings."""
    configure_logging(settings.log_format, settings.log_level)
    for caution in [*cautions(settings), *exposed_keys(settings)]:
        _log.warning(caution)
