"""The auth worker in each of its forms, and applications for it."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.php_fpm import PhpFpm
from tests.php_worker.fastcgi import FastCgi
from tests.php_worker.worker import ENVIRONMENT, EXAMPLE, Worker

APPLICATION = Path(__file__).parent / "application.php"


class Start(Protocol):
    """Starts a worker."""

    def __call__(self, *args: str, **options: Any) -> Worker:
        """Start it with further arguments on its command line, and those of `Worker`."""


class Files:
    """The folder by which a test and application.php talk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"POGO_TEST_FILES": str(folder)}

    def generation(self, text: str) -> None:
        """Change what the application is when it boots the next time."""
        (self.folder / "generation").write_text(text)

    def go(self, channel: str) -> None:
        """Let the request for a channel go on."""
        (self.folder / f"{channel}.go").touch()

    def has_begun(self, channel: str) -> bool:
        """Whether the request for a channel is in hand."""
        return (self.folder / f"{channel}.begun").exists()


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    folder = tmp_path / "files"
    folder.mkdir()
    return Files(folder)


@pytest.fixture(name="start")
def _start(tmp_path: Path, files: Files) -> Iterator[Start]:
    """Start workers of application.php, and end them after the test."""
    numbers = itertools.count()
    with ExitStack() as running:

        def start(*args: str, **options: Any) -> Worker:
            wanted = {"app": APPLICATION, "environment": files.environment, **options}
            worker = Worker(tmp_path / f"worker-{next(numbers)}", *args, **wanted)
            running.callback(worker.kill)
            asyncio.run(worker.start())
            return worker

        yield start


@pytest.fixture(name="address", params=["php-fpm", "unix", "tcp"])
def _address(
    request: pytest.FixtureRequest, tmp_path: Path, start: Start, files: Files
) -> Iterator[Path | int]:
    """Where auth.php in php-fpm answers, or worker.php: for application.php."""
    if request.param != "php-fpm":
        yield start(tcp=request.param == "tcp").address
        return
    environment = {**ENVIRONMENT, **files.environment, "POGO_AUTH_APP": str(APPLICATION)}
    with ExitStack() as running:
        fpm = PhpFpm(tmp_path / "fpm", environment=environment)
        running.callback(fpm.kill)
        asyncio.run(fpm.start())
        yield fpm.socket


@pytest.fixture(name="client")
def _client(address: Path | int) -> Iterator[FastCgi]:
    """A connection to either of them."""
    with FastCgi(address) as client:
        yield client


@pytest.fixture(name="example", params=["php-fpm", "worker"])
def _example(request: pytest.FixtureRequest, tmp_path: Path, start: Start) -> Iterator[FastCgi]:
    """A connection to the example that comes with the package."""
    with ExitStack() as running:
        if request.param == "php-fpm":
            environment = {**ENVIRONMENT, "POGO_AUTH_APP": str(EXAMPLE)}
            fpm = PhpFpm(tmp_path / "fpm", environment=environment)
            running.callback(fpm.kill)
            asyncio.run(fpm.start())
            address: Path | int = fpm.socket
        else:
            address = start(app=EXAMPLE).address
        yield running.enter_context(FastCgi(address))
