"""Reading the apps again while the servers run."""

from collections.abc import Callable, Iterable, Sequence

from pogo.cli.errors import UsageError
from pogo.settings import App, Settings
from pogo.telemetry import get_logger

ReplaceApps = Callable[[Iterable[App]], None]
"""What a server offers for it."""

_log = get_logger()


def with_apps(settings: Settings) -> Settings:
    """Return settings that have an app.

    Raises:
        UsageError: These have none.
    """
    if not settings.apps:
        raise UsageError(
            "no app is configured: set POGO_APP_ID and POGO_APP_SECRET, or add an [[apps]] table "
            "with an id and a secret to pogo.toml"
        )
    return settings


def reloader(
    running: Settings, read: Callable[[], Settings], servers: Sequence[ReplaceApps]
) -> Callable[[], None]:
    """Return what reads the settings again, and gives their apps to the servers.

    Settings with anything wrong, or without any app, are reported and change nothing. What else
    has changed in them is named, because it needs a restart.
    """

    def reload() -> None:
        try:
            settings = with_apps(read())
        except UsageError as error:
            _log.error("apps not reloaded, the old ones stay", reason=str(error))
            return
        for replace in servers:
            replace(settings.apps)
        _log.info("apps reloaded", apps=[app.id for app in settings.apps])
        changed = [
            name
            for name in Settings.model_fields
            if name != "apps" and getattr(settings, name) != getattr(running, name)
        ]
        if changed:
            _log.warning("other settings have changed and need a restart", settings=changed)

    return reload
