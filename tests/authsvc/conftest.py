"""The auth service runs on uvloop, and on asyncio's own loop where somebody embeds it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from tests.authsvc.helpers import WORKERS
from tests.php_fpm import PhpFpm

# They start `pogo authsvc`, which chooses its loop itself, or are about what is the same on both.
_ON_ONE = ("test_grpc.py", "test_load.py", "test_process.py")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on both event loops, where it could matter."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "uvloop": uvloop.new_event_loop
    }
    if item.path.name not in _ON_ONE:
        factories["asyncio"] = asyncio.new_event_loop
    return factories


@pytest.fixture(scope="session", name="fpm")
def _fpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpFpm]:
    """Run a php-fpm that all may use who do it no harm."""
    fpm = PhpFpm(tmp_path_factory.mktemp("fpm"), children=4)
    asyncio.run(fpm.start())
    try:
        yield fpm
    finally:
        asyncio.run(fpm.stop())


@pytest.fixture(scope="session", name="script")
def _script() -> str:
    return str(WORKERS / "behaving.php")
