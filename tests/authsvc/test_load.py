"""`pogo authsvc` and a php-fpm of four children that get more than they can do."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.authsvc.process import Answer, AuthProcess, Browsers
from tests.php_fpm import PhpFpm

pytestmark = pytest.mark.load

DEADLINE = 3.0
AT_ONCE = 0.05


def _quantile(answers: Sequence[Answer], share: float) -> float:
    seconds = sorted(answer.seconds for answer in answers)
    return seconds[int(share * (len(seconds) - 1))]


def _served_and_shed(answers: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    assert {200, 503} == {answer.status for answer in answers}
    return (
        [answer for answer in answers if answer.status == 200],
        [answer for answer in answers if answer.status == 503],
    )


@pytest.mark.parametrize(("delay", "least"), [("20", 90), ("200", 20)])
async def test_more_than_it_can_do(tmp_path: Path, script: str, delay: str, least: int) -> None:
    """Whoever is let in is answered in time, and everyone else refused at once; nobody hangs.

    Also before anything is known of the worker. The browsers come within a fifth of a second, in
    which 200 requests at one moment would only queue for the processor.
    """
    async with (
        PhpFpm(tmp_path / "fpm", environment={"AUTH_DELAY": delay}) as fpm,
        AuthProcess(tmp_path / "home", fpm.upstream, script) as service,
        Browsers(service.port, 200) as browsers,
    ):
        for apart in (0.001, 0.0):
            served, shed = _served_and_shed(await browsers.ask(apart=apart))

            assert _quantile(served, 0.99) < DEADLINE
            assert not apart or _quantile(shed, 0.95) < AT_ONCE
        assert len(served) >= least


async def test_php_fpm_that_goes_and_comes_back(tmp_path: Path, script: str) -> None:
    """Its death opens the breaker, and within 11 s of its return the breaker is closed."""
    async with (
        PhpFpm(tmp_path / "fpm") as fpm,
        AuthProcess(tmp_path / "home", fpm.upstream, script) as service,
        Browsers(service.port, 4) as browsers,
    ):
        assert {200} == {answer.status for answer in await browsers.ask()}
        fpm.kill()
        while await service.metric("circuit_breaker_open_total") == 0:
            assert {502, 503} >= {answer.status for answer in await browsers.ask()}
        refused = await browsers.ask_often(20)
        assert {503} == {answer.status for answer in refused}
        assert _quantile(refused, 0.95) < AT_ONCE

        await fpm.start()
        async with asyncio.timeout(11):
            await browsers.until_all_get(200)

        assert 1 == await service.metric("circuit_breaker_open_total")
        assert 1 == await service.metric("auth_circuit_closed")


async def test_memory_is_flat(tmp_path: Path, script: str, fpm: PhpFpm) -> None:
    """Twenty thousand requests, of which many are shed or refused, leave nothing behind."""
    async with (
        AuthProcess(tmp_path, fpm.upstream, script, max_concurrent_auth="30") as service,
        Browsers(service.port, 40) as browsers,
        Browsers(service.port, 8, behave="status:403") as refused,
    ):
        await browsers.ask_often(100)
        before = service.resident()
        answers = (await asyncio.gather(browsers.ask_often(480), refused.ask_often(100)))[0]

        assert {200, 503} >= {answer.status for answer in answers}
        assert service.resident() - before < 4 * 2**20
