"""The settings as commands need them: with errors that end the command, and with advice."""

import os
from collections.abc import Mapping
from pathlib import Path

from pogo.cli.errors import UsageError
from pogo.settings import (
    Settings,
    SettingsError,
    development_secrets,
    format_path,
    load_settings,
)

MIN_SECRET = 16
"""Characters of a secret below which it is worth a warning: Pusher's own have 20."""


def load(config: Path | None, overrides: Mapping[str, object]) -> Settings:
    """Load the settings; an override that is `None` is a flag that was not given.

    Raises:
        UsageError: The settings cannot be used; it says everything that is wrong with them.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return load_settings(config, os.environ, given)
    except SettingsError as error:
        raise UsageError(describe(error)) from None


def describe(error: SettingsError) -> str:
    """Write all problems of the settings, one a line."""
    count = len(error.problems)
    problems = "\n".join(f"  {problem}" for problem in error.problems)
    return f"{count} problem{'s' if count > 1 else ''} in the settings:\n{problems}"


def cautions(settings: Settings) -> list[str]:
    """Say what works but should be known before it is relied on."""
    secrets = ", ".join(map(format_path, development_secrets(settings)))
    return [
        *([f"secrets of development, which everybody knows: {secrets}"] if secrets else []),
        *_short_secrets(settings),
    ]


def _short_secrets(settings: Settings) -> list[str]:
    return [
        f"the secret of app {app.id!r} has fewer than {MIN_SECRET} characters: it can be guessed"
        for app in settings.apps
        for secret in (app.secret, app.previous_secret)
        if secret is not None and len(secret.get_secret_value()) < MIN_SECRET
    ]
