import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.edge.flaky import TOPIC, Case, running_case
from tests.edge.helpers import Keys, eventually

LINGER = 0.1


@pytest.fixture(name="case")
async def _case() -> AsyncIterator[Case]:
    async with running_case() as case:
        yield case


async def test_an_entry_lingers(case: Case) -> None:
    """What is to go in a while is there until then, and gone afterwards."""
    keys = Keys()
    await case.registry.watch(TOPIC, keys)
    case.writer.put(TOPIC, "1", b"x")
    await case.writer.drained()
    started = asyncio.get_running_loop().time()
    case.writer.delete(TOPIC, "1", LINGER)

    assert 1 == len(keys.keys)
    await eventually(lambda: not keys.keys)
    assert asyncio.get_running_loop().time() - started >= LINGER


async def test_what_is_wanted_again_stays(case: Case) -> None:
    """Whoever comes back before the time is over is not removed when it is."""
    keys = Keys()
    await case.registry.watch(TOPIC, keys)
    case.writer.put(TOPIC, "1", b"x")
    case.writer.delete(TOPIC, "1", LINGER)
    case.writer.put(TOPIC, "1", b"x")
    case.writer.put(TOPIC, "2", b"x")
    case.writer.delete(TOPIC, "2", 2 * LINGER)
    await eventually(lambda: len(keys.keys) == 2)
    await eventually(lambda: len(keys.keys) == 1)

    assert keys.keys[0].endswith(".1")
