"""Loading: merge the sources, validate, and report everything that is wrong at once."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pogo.settings.app import App
from pogo.settings.development import development_secrets
from pogo.settings.errors import SettingsError
from pogo.settings.model import Settings
from pogo.settings.sources import (
    APP_ONLY,
    KNOWN_NAMES,
    OF_AN_APP,
    Location,
    Sources,
    format_path,
    unknown,
)
from pogo.settings.webhooks import Webhook

_TABLES: Mapping[str | int, str] = {
    "apps": "should be a list: an app is an [[apps]] table, above any [[apps.webhooks]] of its own",
    "webhooks": "should be a list: a webhook is an [[apps.webhooks]] table, with two brackets",
}

# What pydantic would say in Python's words.
_PLAIN = {
    "missing": "is required",
    "model_type": "should be a table",
    "tuple_type": "should be a list",
    "mapping_type": "should be a table",
    "dict_type": "should be a table",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}

_FOR_DEVELOPMENT = "is a secret of development, which everybody knows, and this is production"

_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})


def load_settings(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = _NO_OVERRIDES,
) -> Settings:
    """Load the settings; what stands in a higher source wins, name by name.

    Args:
        config: The TOML file; `None` for `pogo.toml` in the working directory, if there is one.
        environ: The environment variables, the source above the file.
        overrides: Settings from the command line, the highest source.

    Raises:
        SettingsError: A source cannot be read, or anything in it is unknown or invalid.
    """
    return trace_settings(config, environ, overrides)[0]


def trace_settings(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = _NO_OVERRIDES,
) -> tuple[Settings, dict[str, str]]:
    """Load the settings, and say where each was set: `{"apps[0].id": "WS_APP_ID"}`.

    What is at its default is not among them.

    Raises:
        SettingsError: As for `load_settings`.
    """
    sources = Sources(config, environ, overrides)
    problems = list(sources.problems)
    try:
        settings = Settings.model_validate(sources.values)
    except ValidationError as error:
        problems += [
            f"{sources.name_of(details['loc'])}: {_message(details)}"
            for details in error.errors()
            # A default made from a field that is itself reported.
            if details["type"] != "default_factory_not_called"
        ]
    else:
        known = development_secrets(settings) if settings.env == "production" else []
        problems += [f"{sources.name_of(location)}: {_FOR_DEVELOPMENT}" for location in known]
    if problems:
        raise SettingsError(problems)
    given: list[Location] = [(name,) for name in sources.values if name != "apps"]
    for index, app in enumerate(settings.apps):
        given += [
            ("apps", index, name) for name in App.model_fields if name in app.model_fields_set
        ]
        given += [
            ("apps", index, "webhooks", number, name)
            for number, webhook in enumerate(app.webhooks)
            for name in Webhook.model_fields
            if name in webhook.model_fields_set
        ]
    return settings, {format_path(location): sources.name_of(location) for location in given}


def _message(details: ErrorDetails) -> str:
    """Say what is wrong. Never from `details["input"]`, which may be a secret."""
    kind = details["type"]
    if kind == "extra_forbidden":
        return _unknown(details["loc"])
    if kind == "tuple_type" and details["loc"][-1] in _TABLES:
        return _TABLES[details["loc"][-1]]
    if kind == "string_pattern_mismatch" and "apps" in details["loc"]:
        return "should be 1 to 128 characters out of A-Z a-z 0-9 _ . -"
    if kind == "value_error":  # Pogo's own, which may begin with the name of a header
        return details["msg"].removeprefix("Value error, ")
    message = details["msg"].removeprefix("Input ")
    return _PLAIN.get(kind, message[:1].lower() + message[1:])


def _unknown(location: Location) -> str:
    *parents, name = location
    if not parents and name in APP_ONLY:
        return OF_AN_APP
    return unknown(str(name), _known_in(parents))


def _known_in(parents: Sequence[str | int]) -> Iterable[str]:
    """Name all settings that may stand in a table."""
    if not parents:
        return KNOWN_NAMES
    return Webhook.model_fields if "webhooks" in parents else App.model_fields
