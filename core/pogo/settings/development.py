"""Secrets of development: examples that stand in files which everybody can read."""

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from pogo.settings.group import Group

PREFIX = "insecure-"
"""What each of them begins with, so that it can be told from one that is secret."""


class EnvironmentSettings(Group):
    """Where this runs."""

    env: Literal["development", "production"] = "development"
    """In `production`, secrets that begin with `insecure-` are refused, and so is `pogo serve`
    without an app. Elsewhere they are warned of."""


def development_secrets(settings: BaseModel) -> list[tuple[str | int, ...]]:
    """Say where in the settings secrets of development are: `[("apps", 0, "secret")]`."""
    return list(_search(settings, ()))


def _search(value: object, here: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    match value:
        case BaseModel():
            for name in type(value).model_fields:
                yield from _search(getattr(value, name), (*here, name))
        case tuple():
            for index, item in enumerate(value):
                yield from _search(item, (*here, index))
        case SecretStr() if value.get_secret_value().startswith(PREFIX):
            yield here
        case str() if "://" in value and _holds_one(value):
            yield here


def _holds_one(url: str) -> bool:
    parts = urlsplit(url)
    # A token stands where a user does.
    return any(part.startswith(PREFIX) for part in (parts.username or "", parts.password or ""))
