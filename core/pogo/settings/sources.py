"""Where settings come from: the command line, the environment and `pogo.toml`, highest first."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pogo.settings.app import App
from pogo.settings.errors import SettingsError
from pogo.settings.model import Settings

DEFAULT_CONFIG = Path("pogo.toml")
"""Read when no other file is named, if it is there."""

PREFIX = "POGO_"
"""Every setting is the environment variable of this prefix and its name in capitals."""

ONE_APP = {
    "app_id": "id",
    "app_key": "key",
    "app_secret": "secret",
    "app_previous_secret": "previous_secret",
}
"""Names that make up one app, for those who have only one, and the fields of `App` they set."""

KNOWN_NAMES = (*Settings.model_fields, *ONE_APP)
"""Everything that may stand at the top of `pogo.toml`."""

APP_ONLY = App.model_fields.keys() - ONE_APP.values() - Settings.model_fields.keys()
"""What an `[[apps]]` table alone may have."""

OF_AN_APP = "is a setting of an app: write it into an [[apps]] table"
"""What is wrong with one of `APP_ONLY` at the top of the file, or in the environment."""

_APP_FAMILIES = (
    {name: PREFIX + name.upper() for name in ONE_APP},
    {"app_id": "WS_APP_ID", "app_secret": "WS_APP_SECRET"},
    {"app_id": "REVERB_APP_ID", "app_key": "REVERB_APP_KEY", "app_secret": "REVERB_APP_SECRET"},
)
"""The first family of which a variable is set is used, and no other: the id of one with the
secret of another would be an app that nobody has."""

_SETTING_VARIABLES = {
    PREFIX + name.upper(): name for name in Settings.model_fields if name != "apps"
}

_APP_VARIABLES = {PREFIX + name.upper() for name in APP_ONLY}

# Read by the Python and the PHP client, which often share the environment of a server.
_CLIENT_VARIABLES = (
    "POGO_BROKER",
    # Those of the PHP package and of its auth worker.
    "POGO_AUTH_APP",
    "POGO_CA_FILE",
    "POGO_CLIENT_CERT",
    "POGO_CLIENT_KEY",
    "POGO_ENCRYPTION_MASTER_KEY_BASE64",
    "POGO_TIMEOUT",
    "POGO_TLS",
    "POGO_TRANSPORT",
    "POGO_URL",
    # Of compose.yaml, beside which an .env file has variables for both.
    "POGO_NOFILE",
)

# Read where settings are not known yet: see `pogo.edge.sending`.
_IMPORT_VARIABLES = ("POGO_PURE_PYTHON",)

_KNOWN_VARIABLES = (
    *_SETTING_VARIABLES,
    *_APP_FAMILIES[0].values(),
    *_CLIENT_VARIABLES,
    *_IMPORT_VARIABLES,
)

Location = tuple[str | int, ...]
"""Where in the settings: `("apps", 1, "secret")`."""


def unknown(name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and which known one is nearest."""
    (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown setting; the nearest known one is {nearest}"


def format_path(location: Location) -> str:
    """Write a location as people do: `apps[1].secret`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


class Sources:
    """The values of all sources merged, and where each one came from.

    Attributes:
        values: What `Settings` is made from.
        origins: What to call a location in a message, for the locations that a source has set.
        problems: What is wrong with the sources themselves.
    """

    def __init__(
        self, config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
    ) -> None:
        self.values: dict[str, object] = {}
        self.origins: dict[Location, str] = {}
        self.problems: list[str] = []
        self._add_file(config)
        self._add_environment(environ)
        for name, value in overrides.items():
            self._set(name, value, "--" + name.replace("_", "-"))
        self._add_one_app()

    def name_of(self, location: Location) -> str:
        """Name the source and full path of one location: `pogo.toml: apps[1].secret`."""
        for length in range(len(location), 0, -1):
            origin = self.origins.get(location[:length])
            if origin is not None:
                rest = format_path(location[length:])
                return origin + ("." if rest and not rest.startswith("[") else "") + rest
        return f"default: {format_path(location)}"

    def _set(self, name: str, value: object, origin: str) -> None:
        self.values[name] = value
        self.origins[name,] = origin

    def _add_file(self, config: Path | None) -> None:
        path = DEFAULT_CONFIG if config is None else config
        if config is None and not path.exists():
            return
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError([f"{path}: {error.strerror}"]) from None
        except ValueError as error:  # not UTF-8, or not TOML
            raise SettingsError([f"{path}: {error}"]) from None
        for name, value in values.items():
            self._set(name, value, f"{path}: {name}")

    def _add_environment(self, environ: Mapping[str, str]) -> None:
        # An empty variable counts as not set: that is what `${X:-}` in a compose file leaves.
        given = {name: value for name, value in environ.items() if value}
        for variable in sorted(given):
            if variable in _SETTING_VARIABLES:
                self._set(_SETTING_VARIABLES[variable], given[variable], variable)
            elif variable in _APP_VARIABLES:
                self.problems.append(f"{variable}: {OF_AN_APP}")
            elif variable.startswith(PREFIX) and variable not in _KNOWN_VARIABLES:
                self.problems.append(f"{variable}: {unknown(variable, _KNOWN_VARIABLES)}")
        for family in _APP_FAMILIES:
            if given.keys() & family.values():
                for name, variable in family.items():
                    if variable in given:
                        self._set(name, given[variable], variable)
                break

    def _add_one_app(self) -> None:
        """Turn `app_id`, `app_key` and the secrets into an entry of `apps`.

        They go into the app of that id where there is one, and else become the last one.
        """
        given = {name: self.values.pop(name) for name in ONE_APP if name in self.values}
        if not given:
            return
        origins = {name: self.origins.pop((name,)) for name in given}
        missing = [name for name in ("app_id", "app_secret") if name not in given]
        if missing:
            (name, origin), *_ = origins.items()
            self.problems.append(f"{origin}: {name} needs {' and '.join(missing)} beside it")
            return
        apps = self.values.setdefault("apps", [])
        if isinstance(apps, list):
            ids = [app.get("id") if isinstance(app, dict) else None for app in apps]
            index = ids.index(given["app_id"]) if given["app_id"] in ids else len(apps)
            own = {ONE_APP[name]: value for name, value in given.items()}
            if index < len(apps):
                own = {**apps[index], **own}
            else:
                self.origins["apps", index] = origins["app_id"]
            self.values["apps"] = [*apps[:index], own, *apps[index + 1 :]]
            for name, origin in origins.items():
                self.origins["apps", index, ONE_APP[name]] = origin
