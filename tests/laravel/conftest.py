"""Pogo, and the Laravel application that publishes to it."""

import asyncio
import itertools
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.cluster import Service
from tests.laravel.application import Shop, install_vendor

APP_ID = "shop"
KEY = "shop-key"
SECRET = secrets.token_hex(16)
APP = {"POGO_APP_ID": APP_ID, "POGO_APP_KEY": KEY, "POGO_APP_SECRET": SECRET}
# The tests connect from one address, and subscribe to a lot.
UNLIMITED = {"POGO_HANDSHAKE_RATE": "-1", "POGO_MESSAGE_RATE": "-1"}


class Serve(Protocol):
    """Starts a `pogo serve`, or another command, of the app."""

    def __call__(self, command: str = "serve", **settings: str) -> Service:
        """Start it with further settings, `POGO_…`."""


class Open(Protocol):
    """Opens an application."""

    def __call__(self, **environment: str) -> Shop:
        """Open it with this in its environment, beside the app's credentials."""


@pytest.fixture(name="vendor", scope="session")
def _vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_vendor(tmp_path_factory.mktemp("composer") / "project")


@pytest.fixture(name="serve")
def _serve(tmp_path: Path) -> Iterator[Serve]:
    numbers = itertools.count()
    with ExitStack() as running:

        def serve(command: str = "serve", **settings: str) -> Service:
            log = tmp_path / f"{command}-{next(numbers)}.log"
            wanted = {**APP, "POGO_BUS": "memory", **UNLIMITED, **settings}
            service = Service(command, wanted, log)
            running.callback(service.stop)
            return service

        yield serve


@pytest.fixture(name="open_shop")
def _open_shop(tmp_path: Path, vendor: Path) -> Iterator[Open]:
    numbers = itertools.count()
    with ExitStack() as running:

        def open_shop(**environment: str) -> Shop:
            folder = tmp_path / f"shop-{next(numbers)}"
            shop = Shop(folder, vendor, environment={**APP, **environment})
            running.callback(shop.kill)
            asyncio.run(shop.start())
            return shop

        yield open_shop


@pytest.fixture(name="server", scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("pogo") / "serve.log"
    settings = {**APP, "POGO_BUS": "memory", **UNLIMITED}
    service = Service("serve", settings, log)
    yield service
    service.stop()


@pytest.fixture(name="shop", scope="session")
def _shop(
    tmp_path_factory: pytest.TempPathFactory, vendor: Path, server: Service
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop") / "app"
    shop = Shop(folder, vendor, environment={**APP, "POGO_BROKER": server.grpc})
    asyncio.run(shop.start())
    yield shop
    shop.kill()
