"""The apps whose channels and users are signed, and the pages that may ask."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pogo.pusher.origins import origin_allowed
from pogo.settings import App


@dataclass(frozen=True, slots=True)
class AuthApp:
    """What is needed of one app."""

    id: str
    key: str
    secrets: tuple[bytes, ...] = field(repr=False)
    origins: tuple[str, ...]


class AuthApps:
    """All apps that are enabled. They can be replaced while requests are under way."""

    def __init__(self, apps: Iterable[App], default_origins: tuple[str, ...]) -> None:
        self._default_origins = default_origins
        self._by_key: dict[str, AuthApp] = {}
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Sign for these apps from now on."""
        made = [self._make(app) for app in apps if app.enabled]
        self._by_key = {app.key: app for app in made}

    def by_key(self, key: str) -> AuthApp | None:
        """Find the app with a key."""
        return self._by_key.get(key)

    def names_origin(self, origin: str) -> bool:
        """Whether an app names a page's origin, other than by `*`."""
        named = (pattern for app in self._by_key.values() for pattern in app.origins)
        return origin_allowed(origin, (pattern for pattern in named if pattern != "*"))

    @property
    def any_origin(self) -> bool:
        """Whether an app lets any page connect."""
        return any("*" in app.origins for app in self._by_key.values())

    def _make(self, app: App) -> AuthApp:
        secrets = [secret for secret in (app.secret, app.previous_secret) if secret]
        return AuthApp(
            id=app.id,
            key=app.key,
            secrets=tuple(secret.get_secret_value().encode() for secret in secrets),
            origins=self._default_origins if app.allowed_origins is None else app.allowed_origins,
        )
