"""The package in an application's life: found by Laravel, built without an environment, cached."""

import asyncio
from pathlib import Path

import pytest

from tests.laravel.application import Shop
from tests.laravel.conftest import Open

SOCKET_ID = "123.456"


def test_laravel_finds_the_package(tmp_path: Path, vendor: Path) -> None:
    """Composer's notes are enough: routes and command are there, and no credentials are needed."""
    shop = Shop(tmp_path / "shop", vendor)

    routes = shop.artisan("route:list")
    assert "pogo/auth" in routes
    assert "pogo/user-auth" in routes
    assert "pogo:ws-install" in shop.artisan("list")


def test_credentials_are_wanted_in_the_end(tmp_path: Path, vendor: Path) -> None:
    """Without credentials nothing is signed: that is a fault, and the log says which."""
    shop = Shop(tmp_path / "shop", vendor)
    asyncio.run(shop.start())
    try:
        answer = shop.visitor().log_in("ada").sign(SOCKET_ID, "private-orders.1")
    finally:
        shop.kill()

    assert 500 == answer.status
    assert "the app id is missing" in shop.logged()


@pytest.mark.parametrize("driver", ["", "module", "module-early"])
def test_everything_is_cached(open_shop: Open, driver: str) -> None:
    """With Laravel's caches the same channels are signed, without a token, by the same driver."""
    shop = open_shop(POGO_TEST_DRIVER=driver)
    shop.artisan("config:cache")
    shop.artisan("route:cache")
    ada = shop.visitor().log_in("ada")
    fields = {"socket_id": SOCKET_ID, "channel_name": "presence-room.1"}

    assert 200 == ada.sign(SOCKET_ID, "private-orders.1").status
    assert 403 == ada.sign(SOCKET_ID, "private-orders.2").status
    assert 419 == ada.post("/orders/1/ship").status
    # The application's driver says nothing of members, so that it is seen who signs.
    told = ada.post("/pogo/auth", fields).json
    assert (driver == "") == ("channel_data" in told)


def test_other_default_connection(open_shop: Open) -> None:
    """Where another connection is the default, its channels are not the package's to sign."""
    shop = open_shop(BROADCAST_CONNECTION="journal")

    assert 403 == shop.visitor().log_in("ada").sign(SOCKET_ID, "private-orders.1").status


def test_connection_of_another_name(open_shop: Open) -> None:
    """A default connection of any name is used, if its driver is the package's."""
    shop = open_shop(BROADCAST_CONNECTION="renamed", POGO_TEST_KEY="renamed-key")
    answer = shop.visitor().log_in("ada").sign(SOCKET_ID, "private-orders.1")

    assert 200 == answer.status
    assert answer.json["auth"].startswith("renamed-key:")
