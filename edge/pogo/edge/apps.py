"""The apps that an edge serves, as its connections need to know them."""

from collections.abc import Iterable
from secrets import token_hex

from pydantic import SecretStr

from pogo.edge.counting import Counting
from pogo.pusher.errors import (
    AppDisabledError,
    CloseError,
    ConnectionQuotaError,
    UnauthorizedError,
    UnknownAppError,
)
from pogo.pusher.origins import origin_allowed
from pogo.pusher.policy import AppPolicy
from pogo.settings import App
from pogo.webhooks import Endpoints


class EdgeApp:
    """One app: its settings in the protocol's terms, and how many connections it has here."""

    __slots__ = (
        "_settings",
        "client_events_until",
        "connections",
        "counting",
        "id",
        "origins",
        "policy",
        "tells_client_events",
        "total_client_event_rate",
    )

    def __init__(
        self, settings: App, default_origins: tuple[str, ...], endpoints: Endpoints
    ) -> None:
        self.connections = 0
        self.id = settings.id
        self.total_client_event_rate = settings.total_client_event_rate
        # When all client events of its clients will be paid for (see `pogo.edge.app_rates`).
        self.client_events_until = 0.0
        self.update(settings, default_origins, endpoints)

    def update(self, settings: App, default_origins: tuple[str, ...], endpoints: Endpoints) -> None:
        """Take new settings over."""
        self._settings = settings
        if settings.total_client_event_rate != self.total_client_event_rate:
            self.total_client_event_rate = settings.total_client_event_rate
            # What was had at another rate is forgiven.
            self.client_events_until = 0.0
        self.origins = default_origins
        if settings.allowed_origins is not None:
            self.origins = settings.allowed_origins
        secrets = [settings.secret, settings.previous_secret]
        self.policy = AppPolicy(
            key=settings.key,
            secrets=tuple(secret.get_secret_value().encode() for secret in secrets if secret),
            client_events=settings.client_events,
        )
        self.counting = _counting(settings, endpoints)
        # Whether any webhook wants to know of client events.
        self.tells_client_events = endpoints.wants(settings.id, "client_event")

    @property
    def key(self) -> str:
        """What browsers connect with."""
        return self._settings.key

    @property
    def enabled(self) -> bool:
        """Whether anyone may be connected."""
        return self._settings.enabled

    @property
    def has_watchlists(self) -> bool:
        """Whether clients are told who of their watchlists is online."""
        return self._settings.watchlist

    def admit(self, origin: str | None, *, needs_origin: bool) -> None:
        """Let one more connection in; `needs_origin` refuses what is no web page.

        Raises:
            AppDisabledError: The app is switched off.
            UnauthorizedError: The page that connects has a foreign origin, or none.
            ConnectionQuotaError: The app has as many connections as it may have.
        """
        if not self.enabled:
            raise AppDisabledError(f"the app {self.key} is disabled")
        if origin is None and needs_origin:
            raise UnauthorizedError("the handshake has no Origin header, which is needed here")
        if not origin_allowed(origin, self.origins):
            raise UnauthorizedError(f"the origin {origin} is not allowed")
        if 0 < self._settings.max_connections <= self.connections:
            raise ConnectionQuotaError(f"the app {self.key} has too many connections")


def _counting(settings: App, endpoints: Endpoints) -> Counting:
    """Tell what of the subscribers of an app's channels somebody wants to know."""
    if settings.subscription_count:
        return Counting.CLIENTS
    if endpoints.wants(settings.id, "subscription_count"):
        return Counting.NUMBERS
    if endpoints.wants(settings.id, "channel_occupied", "channel_vacated"):
        return Counting.OCCUPANCY
    return Counting.NOTHING


class Apps:
    """All apps, by key. They can be replaced while connections are open."""

    def __init__(
        self, apps: Iterable[App], default_origins: tuple[str, ...], webhook_url: str
    ) -> None:
        self._default_origins = default_origins
        self.endpoints = Endpoints((), webhook_url)
        self._by_key: dict[str, EdgeApp] = {}
        self._by_id: dict[str, EdgeApp] = {}
        # Whose connections are those that are refused; its secret is known to nobody.
        self.nobody = EdgeApp(App(id="-", secret=SecretStr(token_hex())), (), Endpoints((), ""))
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Serve these apps from now on; the ones that stay keep their connections."""
        apps = tuple(apps)
        self.endpoints.replace(apps)
        by_id: dict[str, EdgeApp] = {}
        for settings in apps:
            app = self._by_id.get(settings.id)
            if app is None:
                app = EdgeApp(settings, self._default_origins, self.endpoints)
            else:
                app.update(settings, self._default_origins, self.endpoints)
            by_id[app.id] = app
        self._by_id = by_id
        self._by_key = {app.key: app for app in by_id.values()}

    def find(self, key: str) -> EdgeApp:
        """Find the app that a client wants.

        Raises:
            UnknownAppError: There is none.
        """
        app = self._by_key.get(key)
        if app is None:
            raise UnknownAppError(f"there is no app with the key {key[:100]}")
        return app

    def verdict(self, app: EdgeApp) -> CloseError | None:
        """Tell why the app's connections have to be closed, after apps were replaced."""
        if self._by_id.get(app.id) is not app:
            return UnknownAppError(f"the app {app.key} is gone")
        if not app.enabled:
            return AppDisabledError(f"the app {app.key} is disabled")
        return None
