"""Services run on uvloop, and on asyncio's own loop where somebody embeds them: on both here."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.servers import Certificate
from tests.tls.authority import Authority


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on both event loops."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> Authority:
    """Make an authority."""
    return Authority(tmp_path / "authority")


@pytest.fixture(name="stranger")
def _stranger(tmp_path: Path) -> Authority:
    """Make another authority, which nobody believes."""
    return Authority(tmp_path / "stranger")


@pytest.fixture(name="issued")
def _issued(authority: Authority) -> Certificate:
    """Issue a certificate for this machine."""
    return authority.issue()
