"""`pogo config check`: what is in force, and where it was set."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pogo.cli.configuration import cautions, describe
from pogo.cli.errors import UsageError
from pogo.cli.tls import check_tls, exposed_keys
from pogo.settings import App, Settings, SettingsError, Webhook, trace_settings

# Wide enough for every line where there is no terminal to fit.
_WIDE = 200


def check(config: Path | None) -> None:
    """Print the settings as a table, secrets masked.

    Raises:
        UsageError: They cannot be used; it says everything that is wrong with them.
    """
    try:
        settings, origins = trace_settings(config, os.environ)
    except SettingsError as error:
        raise UsageError(describe(error)) from None
    check_tls(settings)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(_table(settings, origins))
    for caution in [*cautions(settings), *exposed_keys(settings)]:
        typer.echo(f"warning: {caution}", err=True)


def _table(settings: Settings, origins: Mapping[str, str]) -> Table:
    table = Table("setting", "value", "set by", box=None, header_style="bold", pad_edge=False)
    for name, value in _rows(settings):
        # The file alone: its path is the first column.
        origin = origins.get(name, "").partition(": ")[0]
        style = "" if origin else "dim"
        table.add_row(Text(name, style), Text(value, style), Text(origin or "default", style))
    return table


def _rows(settings: Settings) -> Iterator[tuple[str, str]]:
    for index, app in enumerate(settings.apps):
        for name in App.model_fields:
            if name != "webhooks" or not app.webhooks:
                yield f"apps[{index}].{name}", _show(getattr(app, name))
        for number, webhook in enumerate(app.webhooks):
            yield from _webhook_rows(f"apps[{index}].webhooks[{number}]", webhook)
    for name in Settings.model_fields:
        if name == "webhook_url":
            yield name, _without_path(settings.webhook_url)
        elif name != "apps":
            yield name, _show(getattr(settings, name))


def _webhook_rows(path: str, webhook: Webhook) -> Iterator[tuple[str, str]]:
    for name in Webhook.model_fields:
        value = getattr(webhook, name)
        yield f"{path}.{name}", _without_path(value) if name == "url" else _show(value)


def _show(value: object) -> str:
    match value:
        case SecretStr():
            return "********" if value.get_secret_value() else ""
        case tuple():
            return ", ".join(_show(item) for item in value)
        case Mapping():
            return ", ".join(f"{name}: {_show(item)}" for name, item in value.items())
        case bool():
            return str(value).lower()
        case str() if "://" in value and "@" in value:
            return _without_credentials(value)
        case _:
            return "" if value is None else str(value)


def _without_path(url: str) -> str:
    # Many endpoints have a token in their path or query.
    parts = urlsplit(url)
    hidden = parts._replace(path="", query="", fragment="").geturl()
    return _show(f"{hidden}/********" if url.rstrip("/") != hidden else url)


def _without_credentials(url: str) -> str:
    # A token stands where a user does, so that is a secret too.
    parts = urlsplit(url)
    return parts._replace(netloc=f"********@{parts.netloc.rpartition('@')[2]}").geturl()
