import contextlib
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pogo.bus import BusUnavailableError, Message
from pogo.bus.memory import MemoryBus
from pogo.cluster import (
    BROKER,
    QUESTIONS,
    ChannelCount,
    ClusterQueries,
    Edges,
    Ids,
    Membership,
)
from pogo.rpc.v1.cluster_pb2 import Answer, ConnectionsQuestion, Question
from tests.edge.helpers import APP, Client, Edge, eventually, two_edges


@contextlib.asynccontextmanager
async def _asking(edge: Edge) -> AsyncIterator[Edges]:
    """Ask as a broker does."""
    broker = Membership(edge.registry, BROKER, "broker", ready=True)
    asking = Edges(edge.bus, broker)
    broker.start()
    asking.start()
    await eventually(lambda: broker.is_settled and len(broker.nodes.of_role("edge")) == 2)
    try:
        yield asking
    finally:
        asking.stop()
        await broker.leave()


Cluster = tuple[Edge, Edge, ClusterQueries]


@pytest.fixture(name="cluster")
async def _cluster() -> AsyncIterator[Cluster]:
    async with two_edges(message_rate=-1) as (one, two), _asking(one) as asking:
        yield one, two, ClusterQueries(asking)


async def test_channels(cluster: Cluster) -> None:
    """Subscriptions are added up over the edges, users are counted once."""
    one, two, queries = cluster
    async with Client(one.url()) as first, Client(two.url()) as second, Client(two.url()) as tab:
        for client in (first, second, tab):
            await client.subscribe("news")
        await first.subscribe("only-here")
        await first.subscribe("presence-a", "1")
        await second.subscribe("presence-a", "2")
        await tab.subscribe("presence-a", "2")
        await first.expect("pusher_internal:member_added")
        found = await queries.channels(APP)

        assert found.complete
        assert {
            "news": ChannelCount(3, 0),
            "only-here": ChannelCount(1, 0),
            "presence-a": ChannelCount(3, 2),
        } == found.by_name
        assert ["presence-a"] == list((await queries.channels(APP, "presence-")).by_name)
        assert (ChannelCount(3, 0), True) == await queries.channel(APP, "news")
        assert (ChannelCount(0, 0), True) == await queries.channel(APP, "nobody")
        assert {} == (await queries.channels("other")).by_name
        assert Ids(frozenset({"1", "2"}), complete=True) == await queries.members(APP, "presence-a")
        assert Ids(frozenset(), complete=True) == await queries.members(APP, "news")
        assert 3 == (await queries.connections(APP)).count


async def test_named_channels(cluster: Cluster) -> None:
    """Only what is named is told, each channel once, and not those that nobody has."""
    one, two, queries = cluster
    async with Client(one.url()) as first, Client(two.url()) as second:
        for client in (first, second):
            await client.subscribe("news")
            await client.subscribe("olds")
        found = await queries.named(APP, ["news", "nobody", "news"])

    assert {"news": ChannelCount(2, 0)} == found.by_name
    assert found.complete


async def test_who_hears_no_answers_asks_nothing() -> None:
    """Before it is started and after it is stopped, it says so at once."""
    async with two_edges() as (one, _):
        asking = Edges(one.bus, Membership(one.registry, BROKER, "broker", ready=True))
        with pytest.raises(BusUnavailableError):
            await asking.ask(Question(app_id=APP))
        asking.start()
        asking.stop()
        with pytest.raises(BusUnavailableError):
            await asking.ask(Question(app_id=APP))


async def test_many_channels_come_in_parts(cluster: Cluster) -> None:
    """More than fit into one message are all there."""
    one, _, queries = cluster
    async with Client(one.url()) as first, Client(one.url()) as second:
        for client, name in ((first, "a"), (second, "b")):
            for number in range(600):
                await client.send("pusher:subscribe", {"channel": f"{name}-{number}"})
            for _ in range(600):
                await client.expect("pusher_internal:subscription_succeeded")

        assert 1200 == len((await queries.channels(APP)).by_name)


async def test_users_and_their_end(cluster: Cluster) -> None:
    """Signed-in users are told once; ending one closes all of their connections with 4009."""
    one, two, queries = cluster
    async with (
        Client(one.url()) as first,
        Client(two.url()) as second,
        Client(two.url()) as other,
    ):
        for client, user in ((first, "1"), (second, "1"), (other, "2")):
            await client.signin(f'{{"id":"{user}"}}')
            await client.expect("pusher:signin_success")

        assert Ids(frozenset({"1", "2"}), complete=True) == await queries.users(APP)
        ended = await queries.terminate(APP, "1")
        assert (2, True) == (ended.count, ended.complete)
        assert [4009, 4009] == [(await client.closed())[0] for client in (first, second)]
        await other.silent()
        assert 0 == (await queries.terminate(APP, "1")).count


async def test_an_edge_that_does_not_answer(cluster: Cluster) -> None:
    """What is not complete says so: an edge that lives and is silent is missed."""
    one, two, queries = cluster
    async with Client(one.url()) as client:
        await client.subscribe("news")
        two.server._answers.stop()  # noqa: SLF001 (as if it were frozen)
        found = await queries.channels(APP)

        assert not found.complete
        assert {"news": ChannelCount(1, 0)} == found.by_name


async def test_more_questions_than_wait() -> None:
    """What is asked beyond them is not answered, and the log says so once, not each time."""
    async with two_edges() as (one, two), _asking(one) as asking:
        question = Question(app_id=APP, connections=ConnectionsQuestion(), reply_subject="nobody")
        messages = [Message(QUESTIONS, question.SerializeToString())] * 300
        with capture_logs() as logs:
            await one.bus.publish(messages)
            await one.bus.publish(messages)

        full = [line for line in logs if line["event"] == "too many questions wait"]
        assert [256] * len((one, two)) == [line["limit"] for line in full]
        assert (await ClusterQueries(asking).connections(APP)).complete


async def test_a_part_that_the_bus_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is not taken for complete, and has what arrived."""
    lost: list[Answer] = []
    post = MemoryBus.post

    def lose_one(bus: MemoryBus, message: Message) -> None:
        part = Answer.FromString(message.payload)
        if part.more and not lost:
            lost.append(part)
        else:
            post(bus, message)

    async with two_edges() as (one, _), _asking(one) as asking, Client(one.url()) as client:
        await client.subscribe("news")
        with monkeypatch.context() as patch:
            patch.setattr(MemoryBus, "post", lose_one)
            found = await ClusterQueries(asking).channels(APP)
        again = await ClusterQueries(asking).channels(APP)

        assert ["news"] == [channel.name for part in lost for channel in part.channels]
        assert (False, {}) == (found.complete, found.by_name)
        assert (True, {"news": ChannelCount(1, 0)}) == (again.complete, again.by_name)


async def test_a_question_of_a_newer_version() -> None:
    """An edge that does not know what is asked does not answer, and goes on."""
    async with two_edges() as (one, _), _asking(one) as asking:
        answers = await asking.ask(Question(app_id=APP), within=0.2)

        assert not answers.complete
        assert (await ClusterQueries(asking).connections(APP)).complete
