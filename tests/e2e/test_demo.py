"""The demo page of `pogo serve`, as a newcomer sees it in two windows."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Service
from tests.e2e.driver import Driver
from tests.e2e.window import Window


class DemoWindow(Window):
    """A window on the demo page."""

    def join(self, name: str) -> None:
        """Enter the presence room under a name."""
        self.fill("#name", name)
        self.click("#join-button")
        self.wait_for("#joined[data-state=good]")


_names = (f"window-{number}" for number in itertools.count())


@pytest.fixture(name="window")
def _window(driver: Driver, demo: Service, tmp_path: Path) -> Iterator[Callable[[], DemoWindow]]:
    driver.launch_browser()
    windows: list[DemoWindow] = []

    def open_window() -> DemoWindow:
        url = f"http://127.0.0.1:{demo.port}/"
        window = DemoWindow(driver, next(_names), url, tmp_path)
        windows.append(window)
        window.wait_for("#connection[data-state=connected]")
        return window

    yield open_window
    for window in windows:
        window.close()


def test_publish_box(window: Callable[[], DemoWindow]) -> None:
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


def test_bad_data_is_reported(window: Callable[[], DemoWindow]) -> None:
    """The publish box says what is wrong with data that is not JSON."""
    first = window()

    first.fill("#data", "{not JSON")
    first.click("#publish button")

    first.wait_for("#published[data-state=bad]")
    assert first.texts("#published")[0].startswith("status 5: ")


def test_presence_room(window: Callable[[], DemoWindow]) -> None:
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
