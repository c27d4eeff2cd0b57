"""Laravel Echo in Chromium, on the pages of a Laravel application that broadcasts through Pogo."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import pytest

from tests.e2e.driver import Driver
from tests.e2e.shop import Deployment, running_shop
from tests.e2e.window import Window
from tests.laravel.application import USERS


class LogIn(Protocol):
    """Logs a user in, in a window of their own."""

    def __call__(self, user: str, **query: str) -> Window:
        """Log in; `query` is for the scripts of the page."""


@pytest.fixture(name="deployment", scope="module", params=["serve", "nats"])
def _deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp(f"shop-{request.param}")
    with running_shop(request.param, folder) as deployment:
        yield deployment
    assert [] == deployment.errors()


_names = (f"shop-window-{number}" for number in itertools.count())


@pytest.fixture(name="log_in")
def _log_in(driver: Driver, deployment: Deployment, tmp_path: Path) -> Iterator[LogIn]:
    driver.launch_browser()
    windows: list[Window] = []

    def log_in(user: str, **query: str) -> Window:
        window = Window(driver, next(_names), deployment.url, tmp_path)
        windows.append(window)
        window.fill("input[name=name]", user)
        window.fill("input[name=password]", f"{user}-secret")
        window.click("button")
        window.wait_for("#user")
        window.go(f"{deployment.url}/?{urlencode(query)}")
        return window

    yield log_in
    for window in windows:
        window.close()


@pytest.fixture(name="query", params=["signed", "noauth"])
def _query(request: pytest.FixtureRequest) -> dict[str, str]:
    """Say whether clients have their channels signed, or leave it to the edges to ask."""
    return {"noauth": "1"} if request.param == "noauth" else {}


def test_an_order_is_shipped(log_in: LogIn, query: dict[str, str]) -> None:
    """The owner's windows are told, but for the one that shipped; another user's are not."""
    first, second, stranger = log_in("ada", **query), log_in("ada", **query), log_in("bob", **query)
    for window in (first, second, stranger):
        window.wait_for("#order-channel:text-is('subscribed')")
    first.click("#ship")
    second.wait_for("#events li:has-text('shipped 1')")
    # Their own order, so that it is known that nothing else is still on its way.
    stranger.click("#ship")
    first.click("#ship")
    second.wait_for("#events li:nth-child(2):has-text('shipped 1')")

    assert [] == first.texts("#events li")
    assert [] == stranger.texts("#events li")
    assert [] == first.texts("#errors li")


def test_presence(log_in: LogIn, query: dict[str, str]) -> None:
    """Each sees who is in the room, by the names that the application gives."""
    ada = log_in("ada", **query)
    bob = log_in("bob", **query)
    for window in (ada, bob):
        window.wait_for("#members li:text-is('bob')")
        window.wait_for("#members li:text-is('ada')")
    bob.close()

    ada.wait_for("#members li:text-is('bob')", gone=True)


def test_another_users_order_is_refused(log_in: LogIn, query: dict[str, str]) -> None:
    """The application says no, and the page is told."""
    bob = log_in("bob", order=str(USERS["ada"]), **query)

    bob.wait_for(f"#errors li:has-text('orders.{USERS['ada']} 40')")
    assert [""] == bob.texts("#order-channel")


def test_sign_in(log_in: LogIn) -> None:
    """The application says who the user is."""
    ada = log_in("ada")

    ada.wait_for("#signed-in:text-is('1')")
    assert ada.picture("signed-in").stat().st_size > 0
