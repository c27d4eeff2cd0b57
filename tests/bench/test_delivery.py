import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bench.cluster import BenchError
from bench.delivery.native import Limit, Load
from bench.delivery.pairs import bare, deliver
from bench.delivery.publisher import Job
from bench.delivery.site import APP, SECRET, Site, open_site

ROOT = Path(__file__).parents[2]
TIMEOUT = 50.0
CLIENTS = 3
JOB = Job("news", 200, 4, batch=5, rate=100)
EVENTS = JOB.calls * JOB.batch


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Yield a `pogo serve`."""
    async with open_site("memory", tmp_path_factory.mktemp("site")) as opened:
        yield opened


async def test_counts_add_up(site: Site) -> None:
    """Every client has every event, in the size that was asked for, and it cost something."""
    async with site.load() as load, site.publisher() as publisher:
        await load.open(CLIENTS, JOB.channel)
        measured = await deliver([site.edge.pid], [load], publisher, JOB, EVENTS * CLIENTS)
    assert EVENTS * CLIENTS == measured.deliveries == measured.load.events
    assert (EVENTS, EVENTS) == (measured.load.fewest, measured.load.most)
    header = 4
    assert (JOB.size + header) * EVENTS * CLIENTS == measured.load.bytes
    assert measured.cpu > 0
    assert 0 < measured.load.share < 1


async def test_events_are_timed(site: Site) -> None:
    """Events that are timed tell how long they took, each for every client."""
    async with site.load() as load, site.publisher() as publisher:
        await load.open(CLIENTS, JOB.channel)
        await load.begin(timed=True)
        await publisher.publish(JOB)
        figures = await load.wait(EVENTS * CLIENTS, TIMEOUT)
    assert EVENTS * CLIENTS == figures.latency.count
    assert 0 < figures.latency.p50 <= figures.latency.p99 <= figures.latency.max < TIMEOUT * 1e9


async def test_private_channels_and_client_events(site: Site) -> None:
    """Clients sign their private channels, and what one sends another one gets."""
    async with site.load() as load:
        await load.open(2, "private-chat")
        figures = await load.send_events(20, 4, 200)
    assert 20 == figures.events
    assert (0, 20) == (figures.fewest, figures.most)


async def test_what_is_missing_is_an_error(site: Site) -> None:
    """A measurement fails where a client has less than it should."""
    async with site.load() as load, site.publisher() as publisher:
        await load.open(CLIENTS, "private-*")
        await load.begin()
        await publisher.publish(JOB)
        figures = await load.wait(1, 0.1)
        assert 0 == figures.events
        await load.drop()
        await load.open(CLIENTS, JOB.channel)
        with pytest.raises(BenchError, match="deliveries arrived"):
            await deliver([site.edge.pid], [load], publisher, JOB, EVENTS * CLIENTS - 1)


async def test_limit() -> None:
    """The bare loop makes as many deliveries of the same size."""
    async with Limit() as limit, Load(limit.port, APP, SECRET) as load:
        await load.open(CLIENTS, "news")
        measured = await bare(limit, load, EVENTS, JOB.size, CLIENTS)
    assert EVENTS * CLIENTS == measured.load.events
    assert (JOB.size + 4) * EVENTS * CLIENTS == measured.load.bytes


async def test_command(tmp_path: Path) -> None:
    """The command measures a scenario, prints its table, and writes all that it saw."""
    options = ("--seconds", "0.1", "--scale", "0.001", "--out", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.delivery", "client-events", *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert 0 == process.returncode, output.decode()
    written = json.loads((tmp_path / "deliveries.json").read_text())
    assert {"seconds": 0.1, "scale": 0.001, "scenarios": ["client-events"]} == written["settings"]
    assert "cores" in written["machine"]
    rows = written["scenarios"]["client-events"]["rows"]
    assert 4 == len(rows)
    for row in rows:
        assert "CPU a client event" == row["figure"]
        assert row["beside"]["lowest"] <= row["value"] <= row["beside"]["highest"]
        assert row["case"] in output.decode()
