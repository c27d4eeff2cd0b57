"""The demo page of `pogo serve`, as a newcomer sees it in two windows."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Service
from tests.e2e.driver import Driver


class Window:
    """A window of Chromium on the demo page."""

    def __init__(self, driver: Driver, name: str, url: str, pictures: Path) -> None:
        self._driver = driver
        self._name = name
        self._pictures = pictures
        driver.call("browser", "open", page=name, url=url)

    def wait_for(self, selector: str, *, gone: bool = False) -> None:
        """Wait until such an element can be seen, or none any more."""
        self._driver.call("browser", "waitFor", page=self._name, selector=selector, gone=gone)

    def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        self._driver.call("browser", "fill", page=self._name, selector=selector, text=text)

    def click(self, selector: str) -> None:
        """Click on something."""
        self._driver.call("browser", "click", page=self._name, selector=selector)

    def texts(self, selector: str) -> list[str]:
        """Read all such elements."""
        return list(self._driver.call("browser", "texts", page=self._name, selector=selector))

    def picture(self, name: str) -> Path:
        """Keep what the window shows as a PNG."""
        path = self._pictures / f"{name}.png"
        self._driver.call("browser", "screenshot", page=self._name, path=str(path))
        return path

    def complaints(self) -> list[str]:
        """Name what the page wrote to its console."""
        return self._driver.inbox(self._name).events("console")

    def join(self, name: str) -> None:
        """Enter the presence room under a name."""
        self.fill("#name", name)
        self.click("#join-button")
        self.wait_for("#joined[data-state=good]")

    def close(self) -> None:
        """Close the window."""
        self._driver.call("browser", "closePage", page=self._name)


_names = (f"window-{number}" for number in itertools.count())


@pytest.fixture(name="window")
def _window(driver: Driver, demo: Service, tmp_path: Path) -> Iterator[Callable[[], Window]]:
    driver.launch_browser()
    windows: list[Window] = []

    def open_window() -> Window:
        url = f"http://127.0.0.1:{demo.port}/"
        window = Window(driver, next(_names), url, tmp_path)
        windows.append(window)
        window.wait_for("#connection[data-state=connected]")
        return window

    yield open_window
    for window in windows:
        window.close()


def test_publish_box(window: Callable[[], Window]) -> None:
    """What is published in one window appears in both, and the box says that it worked."""
    first, second = window(), window()

    first.fill("#event", "greeting")
    first.fill("#data", '{"from": "window one"}')
    first.click("#publish button")

    for each in (first, second):
        each.wait_for("#events li:has-text('greeting'):has-text('window one')")
    first.wait_for("#published[data-state=good]")
    assert ["status 0: success"] == first.texts("#published")
    assert first.picture("published").stat().st_size > 0
    assert [[], []] == [first.complaints(), second.complaints()]


def test_bad_data_is_reported(window: Callable[[], Window]) -> None:
    """The publish box says what is wrong with data that is not JSON."""
    first = window()

    first.fill("#data", "{not JSON")
    first.click("#publish button")

    first.wait_for("#published[data-state=bad]")
    assert first.texts("#published")[0].startswith("status 5: ")


def test_presence_room(window: Callable[[], Window]) -> None:
    """Two windows see each other in the room, and one that leaves or is closed disappears."""
    first, second = window(), window()

    first.join("Ada")
    assert ["Ada (you)"] == first.texts("#members li")
    second.join("Bob")
    first.wait_for("#members li:text-is('Bob')")
    first.wait_for("#count:text-is('(2)')")
    second.wait_for("#members li:text-is('Ada')")
    assert ["Ada", "Bob (you)"] == sorted(second.texts("#members li"))
    first.picture("room")

    second.click("#join-button")
    first.wait_for("#members li:text-is('Bob')", gone=True)
    assert ["Ada (you)"] == first.texts("#members li")
    second.join("Bob")
    first.wait_for("#members li:text-is('Bob')")
    second.close()
    first.wait_for("#members li:text-is('Bob')", gone=True)
    first.wait_for("#comings li:has-text('Bob'):has-text('left')")
    assert ["Ada (you)"] == first.texts("#members li")
    assert [] == first.complaints()
