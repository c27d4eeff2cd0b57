import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bench.cluster import BenchError
from bench.delivery.context import Context
from bench.delivery.report import Report
from bench.delivery.site import APP, SECRET, Site, open_site
from bench.publish.caller import Job, caller
from bench.publish.child import Child
from bench.publish.echo import Listen, echo
from bench.publish.http2 import GrpcCalls
from bench.publish.receiver import Job as BusJob
from bench.publish.receiver import messages, receiver
from bench.publish.requests import CHANNELS, DATA_BYTES, Kind, grpc_metadata, grpc_reply
from bench.publish.scenarios import SCENARIOS

from pogo.bus import Bus, channel_subject
from pogo.bus.nats import NatsBus
from pogo.rpc.v1.delivery_pb2 import Delivery
from tests.servers import HOST, NatsServer, RedisServer, ServerProcess

TIMEOUT = 20.0
MANY = 32

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(name="site", scope="module", loop_scope="module")
async def _site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run an edge and a broker on NATS."""
    async with open_site("nats", tmp_path_factory.mktemp("site")) as opened:
        yield opened


@pytest_asyncio.fixture(name="heard", loop_scope="module")
async def _heard(site: Site) -> AsyncIterator[list[bytes]]:
    """Gather what the broker puts on the bus."""
    heard: list[bytes] = []
    bus: Bus = NatsBus([site.broker.settings["POGO_NATS_URL"]])
    await bus.start()
    for number in range(CHANNELS):
        bus.subscribe(channel_subject(APP, f"bench-{number}"), heard.append)
    await bus.flush()
    yield heard
    await bus.close()


def job(site: Site, kind: Kind, calls: int, window: int, secret: str = SECRET) -> Job:
    """Write a job for the site's broker."""
    grpc = int(site.broker.grpc.rpartition(":")[2])
    port = site.broker.http_port if kind is Kind.HTTP else grpc
    return Job(kind, HOST, port, APP, secret, calls, window)


@pytest.mark.parametrize("window", [1, MANY])
@pytest.mark.parametrize("kind", list(Kind))
async def test_every_call_is_published(
    site: Site, heard: list[bytes], kind: Kind, window: int
) -> None:
    """Each call puts as many events on the bus as it is counted for, in the size it should be."""
    calls = 2 * MANY + 1
    async with caller() as child:
        called = await child.do(job(site, kind, calls, window))
    async with asyncio.timeout(TIMEOUT):
        while len(heard) < calls * kind.events:  # noqa: ASYNC110 (another process publishes)
            await asyncio.sleep(0.01)
    event = json.loads(Delivery.FromString(heard[0]).payload)

    assert calls * kind.events == len(heard)
    assert DATA_BYTES == len(event["data"])
    assert 0 < called.cpu < called.seconds * 2


@pytest.mark.parametrize("kind", [Kind.UNARY, Kind.BATCH, Kind.HTTP])
async def test_what_is_not_published_is_an_error(site: Site, kind: Kind) -> None:
    """A measurement fails where calls are refused, and the caller goes on."""
    async with caller() as child:
        with pytest.raises(BenchError, match=r"without a reply|not published"):
            await child.do(job(site, kind, 5, 2, "another-secret-that-is-long"))

        assert (await child.do(job(site, kind, 5, 2))).seconds > 0


async def test_another_status_is_an_error(site: Site) -> None:
    """A reply with any other status than success is no success."""
    port = int(site.broker.grpc.rpartition(":")[2])
    loop = asyncio.get_running_loop()
    path, reply = "/pogo.rpc.v1.Broker/Publish", grpc_reply(Kind.UNARY)
    _, calls = await loop.create_connection(
        lambda: GrpcCalls(path, grpc_metadata(APP, SECRET), reply), HOST, port
    )
    try:
        # An empty request is for no app.
        with pytest.raises(BenchError, match="answered with"):
            await asyncio.wait_for(calls.run([bytes(5)], 1, 1), TIMEOUT)
    finally:
        calls.close()


@pytest.mark.parametrize("kind", [Kind.UNARY, Kind.HTTP])
async def test_a_lost_connection_is_an_error(kind: Kind) -> None:
    """A server that goes away does not leave the measurement waiting."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST)
    port = server.sockets[0].getsockname()[1]
    async with server, caller() as child:
        with pytest.raises(BenchError, match="connection was lost"):
            await asyncio.wait_for(child.do(Job(kind, HOST, port, APP, SECRET, 5, 2)), TIMEOUT)


async def test_the_limit_answers() -> None:
    """The bare server answers as a broker does."""
    async with echo() as server, caller() as child:
        port = (await server.do(Listen())).port
        called = await child.do(Job(Kind.UNARY, HOST, port, APP, SECRET, 100, MANY))

    assert called.seconds > 0


@pytest.mark.parametrize("name", ["nats", "redis"])
async def test_receiver(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A process with a bus has every message that was sent to its subscriptions, once."""
    folder = tmp_path_factory.mktemp(name)
    server: ServerProcess = (NatsServer if name == "nats" else RedisServer)(folder)
    async with server, receiver() as child:
        await child.do(BusJob("connect", bus=name, port=server.port))
        await child.do(BusJob("subscribe", count=10, batch=4))
        await child.do(BusJob("churn", count=12, batch=4))
        _, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(messages(name, 25, 10))
        spent = await child.do(BusJob("receive", count=25))
        writer.close()

    assert 0 < spent.cpu <= spent.seconds * 2


@pytest.mark.parametrize("name", [pytest.param("publish", marks=pytest.mark.load), "bus"])
async def test_scenario(name: str) -> None:
    """Each scenario measures, and says where it stands beside its targets."""
    title, run = SCENARIOS[name]
    report = Report({})
    with report.scenario(name, title) as scenario:
        await run(Context(scenario, 0.1, 0.05))
    judged = [row for row in scenario.rows if row.met is not None]

    assert {"publish": 6, "bus": 3}[name] == len(judged)
    assert scenario.load_share is not None
    for row in scenario.rows:
        assert row.value > 0


async def test_what_a_child_cannot_do_is_an_error() -> None:
    """A process that has ended, or cannot do its job, says so."""
    async with caller() as child:
        with pytest.raises(BenchError, match="Connect"):
            await child.do(Job(Kind.HTTP, HOST, 1, APP, SECRET, 1, 1))
    nothing = Child[Listen, Listen]("bench.publish.requests", Listen)
    async with nothing:
        with pytest.raises(BenchError, match="has ended"):
            await nothing.do(Listen())
