"""A window of Chromium, as somebody looks at it."""

from pathlib import Path
from typing import Any

from tests.e2e.driver import Driver


class Window:
    """A window on a page, whose user nobody knows yet."""

    def __init__(
        self,
        driver: Driver,
        name: str,
        url: str,
        pictures: Path,
        *,
        any_certificate: bool = False,
    ) -> None:
        self._driver = driver
        self._name = name
        self._pictures = pictures
        driver.call("browser", "open", page=name, url=url, anyCertificate=any_certificate)

    def wait_for(self, selector: str, *, gone: bool = False) -> None:
        """Wait until such an element can be seen, or none any more."""
        self._driver.call("browser", "waitFor", page=self._name, selector=selector, gone=gone)

    def go(self, url: str) -> None:
        """Open another page in it."""
        self._driver.call("browser", "go", page=self._name, url=url)

    def resize(self, width: int, height: int) -> None:
        """Give it a size, in pixels."""
        self._driver.call("browser", "resize", page=self._name, width=width, height=height)

    def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        self._driver.call("browser", "fill", page=self._name, selector=selector, text=text)

    def click(self, selector: str) -> None:
        """Click on something."""
        self._driver.call("browser", "click", page=self._name, selector=selector)

    def texts(self, selector: str) -> list[str]:
        """Read all such elements."""
        return list(self._driver.call("browser", "texts", page=self._name, selector=selector))

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression of JavaScript in the page, and return its value."""
        return self._driver.call("browser", "evaluate", page=self._name, expression=expression)

    def picture(self, name: str) -> Path:
        """Keep what the window shows as a PNG."""
        path = self._pictures / f"{name}.png"
        self._driver.call("browser", "screenshot", page=self._name, path=str(path))
        return path

    def complaints(self) -> list[str]:
        """Name what the page wrote to its console."""
        return self._driver.inbox(self._name).events("console")

    def close(self) -> None:
        """Close the window."""
        self._driver.call("browser", "closePage", page=self._name)
