"""The reference page of all settings, made from the model: `python -m pogo.settings.reference`."""

import sys
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pogo.settings.app import App
from pogo.settings.model import GROUPS
from pogo.settings.values import format_duration, parse_duration
from pogo.settings.webhooks import Webhook

_HEAD = """\
# Settings

Every setting has a name, which is the same everywhere. Sources, the highest first:

1. flags of the `pogo` command, such as `--port 0`;
2. environment variables: `POGO_` and the name in capitals, such as `POGO_PING_PERIOD=54s`.
   Lists are separated by commas. An empty variable counts as not set;
3. `pogo.toml`: the file given with `--config`, or else `./pogo.toml` if there is one.

`pogo config check` says what is in force and where it was set, or everything that is wrong. A name
that Pogo does not know is an error, also among the variables that begin with `POGO_`. (In
Kubernetes, a Service called `pogo` puts such variables into every pod of its namespace: give the
Service another name, or set `enableServiceLinks: false`.)

Durations are written `54s`, `1m30s`, `500ms` or as a number of seconds. Secrets are never printed.

## One application

Where there is only one, it needs no table: `app_id`, `app_key` (the id when not given) and
`app_secret`, in the file or from the environment. There, of `POGO_APP_ID`, `POGO_APP_KEY` and
`POGO_APP_SECRET`; `WS_APP_ID` and `WS_APP_SECRET`; `REVERB_APP_ID`, `REVERB_APP_KEY` and
`REVERB_APP_SECRET`, the first group of which anything is set is used. While the secret is
[rotated](operations.md#rotating-an-apps-secret), `app_previous_secret`, or
`POGO_APP_PREVIOUS_SECRET`, is the old one.

## Several applications

```toml
[[apps]]
id = "shop"
key = "shop-key"
secret = "…"

[[apps]]
id = "intranet"
secret = "…"
allowed_origins = ["https://intranet.example"]
client_events = false

[[apps.webhooks]]
url = "https://intranet.example/pusher/webhook"
events = ["channel_occupied", "channel_vacated"]
channel_prefixes = ["private-"]
```
"""


def settings_page() -> str:
    """Return the page as Markdown, with a table for each group of settings."""
    sections = [_HEAD, *_section("`[[apps]]`", App), *_section("`[[apps.webhooks]]`", Webhook)]
    for group in GROUPS:
        sections += _section((group.__doc__ or "").split(".")[0], group)
    return "\n".join(sections)


def _section(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## {title}\n"
    # What a group says beyond its title.
    _, _, rest = (model.__doc__ or "").partition(". ")
    if rest:
        yield f"{rest}\n"
    yield "| name | default | meaning |\n| --- | --- | --- |"
    for name, field in model.__pydantic_fields__.items():
        meaning = " ".join((field.description or "").split())
        choices = _choices(field)
        if choices:
            meaning = f"{choices}. {meaning}"
        yield f"| `{name}` | {_default(field)} | {meaning} |"
    yield ""


def _choices(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default.get_secret_value() if _is_secret(field) else field.default
    if field.default_factory is not None or value in (None, "", ()):
        return ""
    if any(getattr(extra, "func", None) is parse_duration for extra in field.metadata):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def _is_secret(field: FieldInfo) -> bool:
    return isinstance(field.default, SecretStr)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
