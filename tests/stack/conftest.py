"""The stack on each bus, and windows of a browser on its demo application.

On NATS it comes up as it is, without an .env file; on Redis with the one that `make env` writes.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.deploy.compose import make_env
from tests.e2e.driver import Driver, running_driver
from tests.e2e.window import Window
from tests.stack.engine import Engine, NoEngineError, running_engine
from tests.stack.orders import log_in_at
from tests.stack.stack import Stack, running_stack


class LogIn(Protocol):
    """Logs a user in at the order desk, in a window of their own."""

    def __call__(self, user: str) -> Window:
        """Log in, and wait until the page is connected and has joined the desk."""


@pytest.fixture(name="engine", scope="session")
def _engine() -> Iterator[Engine]:
    try:
        with running_engine() as engine:
            engine.have_images()
            yield engine
    except NoEngineError as error:
        pytest.exit(f"THE STACK IS NOT TESTED: {error}", returncode=3)


@pytest.fixture(name="bus", scope="session", params=["nats", "redis"])
def _bus(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="stack", scope="session")
def _stack(engine: Engine, bus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp(f"stack-{bus}")
    env_file = make_env(folder / ".env") if bus == "redis" else None
    with running_stack(engine, bus, folder, env_file=env_file) as stack:
        yield stack


@pytest.fixture(name="driver", scope="session")
def _driver() -> Iterator[Driver]:
    with running_driver() as driver:
        driver.launch_browser()
        yield driver


_names = (f"desk-window-{number}" for number in itertools.count())


@pytest.fixture(name="log_in")
def _log_in(driver: Driver, stack: Stack, tmp_path: Path) -> Iterator[LogIn]:
    windows: list[Window] = []

    def log_in(user: str) -> Window:
        window = Window(driver, next(_names), stack.url, tmp_path)
        windows.append(window)
        log_in_at(window, user)
        return window

    yield log_in
    for window in windows:
        window.close()
