"""Settings: typed, frozen, merged from the command line, the environment and `pogo.toml`.

Secrets are `SecretStr`: they appear in no repr, no log and no error message.
"""

from pogo.settings.app import App
from pogo.settings.development import development_secrets
from pogo.settings.errors import SettingsError
from pogo.settings.load import load_settings, trace_settings
from pogo.settings.model import Settings
from pogo.settings.sources import format_path
from pogo.settings.webhooks import Webhook, WebhookEvent

__all__ = [
    "App",
    "Settings",
    "SettingsError",
    "Webhook",
    "WebhookEvent",
    "development_secrets",
    "format_path",
    "load_settings",
    "trace_settings",
]
