"""Settings: typed, frozen, merged from the command line, the environment and `pogo.toml`.

Secrets are `SecretStr`: they appear in no repr, no log and no error message.
"""

from pogo.settings.app import App
from pogo.settings.errors import SettingsError
from pogo.settings.load import load_settings, trace_settings
from pogo.settings.model import Settings
from pogo.settings.webhooks import Webhook, WebhookEvent

__all__ = [
    "App",
    "Settings",
    "SettingsError",
    "Webhook",
    "WebhookEvent",
    "load_settings",
    "trace_settings",
]
