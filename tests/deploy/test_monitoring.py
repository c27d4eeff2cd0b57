"""Dashboards and alerts ask for what live services show, and are answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy.monitored import JOBS, WORKERS, MonitoredStack, comes_true
from tests.deploy.promql import (
    Query,
    dashboard_queries,
    missing,
    rule_queries,
    variable_queries,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_QUERIES = [*dashboard_queries(), *variable_queries(), *rule_queries()]


@pytest_asyncio.fixture(name="stack", scope="module", loop_scope="module")
async def _stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MonitoredStack]:
    async with MonitoredStack(tmp_path_factory.mktemp("monitored")) as stack:
        yield stack


async def test_what_is_asked_for_is_shown(stack: MonitoredStack) -> None:
    """Each metric that a panel or an alert names, and each label of it, is on a page."""
    samples = await stack.samples()
    lacking = {query.where: missing(query.text, samples) for query in ALL_QUERIES}

    assert {} == {where: lacks for where, lacks in lacking.items() if lacks}


async def test_panels_have_series(stack: MonitoredStack) -> None:
    """Prometheus answers each query of each panel, with the labels of its legend."""
    unanswered = list(dashboard_queries())

    async def lacks(query: Query) -> bool:
        series = await stack.prometheus.query(query.text)
        return not series or not query.legend <= {
            label for one in series for label in one["metric"]
        }

    async def all_answered() -> bool:
        unanswered[:] = [query for query in unanswered if await lacks(query)]
        return not unanswered

    await comes_true(all_answered)

    assert [] == [f"{query.where}: {query.text}" for query in unanswered]


async def test_a_healthy_stack_raises_no_alert(stack: MonitoredStack) -> None:
    """All rules can be evaluated, and once Prometheus has looked at everything none holds."""
    alerts: set[tuple[str, str]] = set()

    async def everything_is_up() -> bool:
        return len(await stack.prometheus.query("up == 1")) == len(JOBS)

    async def nothing_is_wrong() -> bool:
        nonlocal alerts
        alerts = await stack.prometheus.alerts()
        return not alerts

    assert await comes_true(everything_is_up)
    await comes_true(nothing_is_wrong)
    assert set() == alerts


@pytest.mark.chaos
async def test_an_outage_raises_alerts(tmp_path: Path) -> None:
    """When the bus server is killed, both workers of the edge and the broker say so."""
    async with MonitoredStack(tmp_path) as stack:
        stack.nats.kill()
        for name in ("BusDisconnected", "RegistryDisconnected"):
            raised = f'ALERTS{{alertname="{name}"}}'

            async def all_say_so(raised: str = raised) -> bool:
                return len(await stack.prometheus.query(raised)) == WORKERS + 1

            assert await comes_true(all_say_so), name
