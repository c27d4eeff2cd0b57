from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bench.cluster import BenchError
from bench.delivery.native import Limit, Load
from bench.delivery.pairs import bare, deliver
from bench.delivery.publisher import Job
from bench.delivery.site import APP, SECRET, Site, open_site

from tests.servers import make_certificate

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


async def test_churn(site: Site) -> None:
    """Clients subscribe and unsubscribe as often as they are told to, and none of it stays."""
    async with site.load() as load:
        await load.open(CLIENTS, JOB.channel)
        for channel in ("churn-*", "churn"):
            figures = await load.churn(50, channel)
            assert (50, CLIENTS) == (figures.events, figures.opened)
        await load.begin()
        async with site.publisher() as publisher:
            await publisher.publish(Job("churn", 200, 1))
            await publisher.publish(JOB)
        figures = await load.wait(EVENTS * CLIENTS + 1, 1.0)
    assert EVENTS * CLIENTS == figures.events


async def test_clients_speak_tls(tmp_path: Path) -> None:
    """Clients of an edge that speaks TLS itself are no different, as large as events may be."""
    made = make_certificate(tmp_path)
    settings = {"POGO_TLS_CERT": str(made.certificate), "POGO_TLS_KEY": str(made.key)}
    large = Job("news", 60_000, 4, batch=5, rate=100)
    async with open_site("nats", tmp_path, edge_settings=settings) as site:
        async with site.load(tls=True) as load, site.publisher() as publisher:
            await load.open(CLIENTS, "news")
            for job in (JOB, large):
                await deliver([site.edge.pid], [load], publisher, job, EVENTS * CLIENTS)
            await load.drop()
            # What does not speak TLS is no client.
        async with site.load() as plain:
            with pytest.raises(BenchError, match="2 connections were lost"):
                await plain.open(2, "news")
