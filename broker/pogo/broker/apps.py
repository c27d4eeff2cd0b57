"""The applications that this broker publishes for."""

from collections.abc import Iterable

from pogo.settings import App


class AppDirectory:
    """Finds an app by what callers name it by. Its apps can be replaced while it is in use."""

    def __init__(self, apps: Iterable[App]) -> None:
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Take these apps instead; those who hold an `App` of before must look it up again."""
        apps = tuple(apps)
        self._by_id = {app.id: app for app in apps}
        self._by_key = {app.key: app for app in apps}

    def by_id(self, app_id: str) -> App | None:
        """Return the app that publishers call by this id."""
        return self._by_id.get(app_id)

    def by_key(self, key: str) -> App | None:
        """Return the app that browsers and tokens call by this key."""
        return self._by_key.get(key)
