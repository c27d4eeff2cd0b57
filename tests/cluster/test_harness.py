"""The harness itself: servers, cables, and the record that members keep."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.cable import Cable
from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd, all_know, join_all
from tests.cluster.rosters import Roster
from tests.cluster.waiting import becomes, eventually
from tests.cluster.witness import Witness
from tests.servers import HOST, NatsCluster, NatsServer, ServerError

ADA = {"presence": {"ids": ["ada"], "hash": {"ada": None}, "count": 1}}


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Run a server that says what it is told, and yield its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)

    async with await asyncio.start_server(talk, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def silent(reader: asyncio.StreamReader) -> None:
    """See that nothing comes for a while."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)


# Cables


async def test_cable_carries() -> None:
    """Through a whole cable everything passes, and an end is an end."""
    async with echo() as port:
        with Cable(port) as cable:
            reader, writer = await asyncio.open_connection(HOST, cable.port)
            writer.write(b"x" * 1_000_000)
            assert b"x" * 1_000_000 == await reader.readexactly(1_000_000)
            writer.write_eof()
            assert b"" == await reader.read()
            writer.close()


async def test_cut_cable_holds_back() -> None:
    """Through a cut cable nothing passes and nobody is told, and later it all arrives."""
    async with echo() as port:
        with Cable(port) as cable:
            reader, writer = await asyncio.open_connection(HOST, cable.port)
            writer.write(b"one")
            assert b"one" == await reader.readexactly(3)
            cable.cut()
            writer.write(b"two")
            later, sender = await asyncio.open_connection(HOST, cable.port)
            sender.write(b"new")
            await asyncio.gather(silent(reader), silent(later))
            cable.mend()
            assert b"two" == await reader.readexactly(3)
            assert b"new" == await later.readexactly(3)
            writer.close()
            sender.close()


async def test_cut_cable_hides_an_end() -> None:
    """That one side hangs up is not seen through a cut cable, but once it is mended."""
    async with echo() as port:
        with Cable(port) as cable:
            reader, writer = await asyncio.open_connection(HOST, cable.port)
            writer.write(b"one")
            assert b"one" == await reader.readexactly(3)
            cable.cut()
            writer.write_eof()
            await silent(reader)
            cable.mend()
            assert b"" == await asyncio.wait_for(reader.read(), 2.0)
            writer.close()


async def test_cable_to_nowhere() -> None:
    """Where no server is, a connection ends."""
    async with echo() as port:
        pass
    with Cable(port) as cable:
        reader, writer = await asyncio.open_connection(HOST, cable.port)
        assert b"" == await asyncio.wait_for(reader.read(), 2.0)
        writer.close()


# A cluster of nats-servers


async def create(nats: NatsCluster, stream: str) -> None:
    """Create a stream that all servers have."""
    await nats.ask(
        f"$JS.API.STREAM.CREATE.{stream}", name=stream, subjects=[stream], num_replicas=3
    )


async def test_nats_cluster_elects_another_leader(tmp_path: Path) -> None:
    """A stream goes on with another leader when its own dies, and the dead one can come back."""
    async with NatsCluster(tmp_path) as nats:
        ports = [server.port for server in nats.servers]
        await create(nats, "letters")
        first = await nats.leader("letters")
        first.kill()
        second = await nats.leader("letters")
        await first.start()
        await nats.until_whole()

        assert first is not second
        assert ports == [server.port for server in nats.servers]
        assert await nats.leader("letters") in nats.servers


async def test_nats_cluster_passes_a_frozen_leader_by(tmp_path: Path) -> None:
    """A stream goes on with another leader when its own stands still, too."""
    async with NatsCluster(tmp_path) as nats:
        await create(nats, "letters")
        first = await nats.leader("letters")
        first.freeze()
        try:
            second = await nats.leader("letters")
        finally:
            first.thaw()
        await nats.until_whole()

        assert first is not second


async def test_nats_server_forgets(tmp_path: Path) -> None:
    """A server that was told to forget begins empty, and one that runs cannot be told."""
    async with NatsServer(tmp_path) as nats:
        assert any((tmp_path / "jetstream").iterdir())
        with pytest.raises(ServerError, match="runs"):
            nats.forget()
        nats.kill()
        nats.forget()
        assert not (tmp_path / "jetstream").exists()
        await nats.start()


# Rosters


def test_roster_keeps_members() -> None:
    """Members come and go, each in turn."""
    roster = Roster()

    assert "" == roster.begin(ADA["presence"], "ada")
    assert "" == roster.add("bob", {"name": "Bob"})
    assert ({"ada", "bob"}, 2) == (roster.ids, roster.count)
    assert "" == roster.remove("ada")
    assert ({"bob"}, 1) == (roster.ids, roster.count)


@pytest.mark.parametrize(
    ("me", "ids", "count"),
    [("ada", ["ada", "bob"], 2), ("ada", ["ada"], 2), ("bob", ["ada"], 1)],
)
def test_roster_finds_fault_with_the_first(me: str, ids: list[str], count: int) -> None:
    """A roster that is at odds with itself or lacks its owner is found out."""
    assert "" != Roster().begin({"ids": ids, "hash": {"ada": None}, "count": count}, me)


def test_roster_finds_what_comes_twice() -> None:
    """Nobody is added who is there or removed who is not, and no second roster comes unasked."""
    roster = Roster()
    early = roster.add("bob", None)
    roster.begin(ADA["presence"], "ada")

    assert "bob added before the roster came" == early
    assert "ada added twice" == roster.add("ada", None)
    assert "bob removed twice" == roster.remove("bob")
    assert "a second roster" == roster.begin(ADA["presence"], "ada")


def test_witness_forgets_with_its_connection() -> None:
    """What is known of a channel ends with the connection, and the record of it stays."""
    witness = Witness("ada")
    witness.rosters["room"] = Roster()
    witness.joined("room", ADA)
    witness.member_changed("room", "added", {"user_id": "bob"})
    assert {"ada", "bob"} == witness.ids("room")
    witness.closed(4200)

    assert witness.ids("room") is None
    assert ["added"] == witness.changes("room", "bob")
    assert ["bob added"] == witness.all_changes("room")
    assert float("inf") == witness.gaps()[0][1]
    assert [] == witness.violations


# Nodes and members


async def test_members_meet_on_one_edge(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """Members of one edge see each other, and get what is published."""
    edge = cluster.edges[0]
    ada, bob = await crowd.connect_each(["ada", "bob"], [edge, edge])
    await join_all(channel, [ada, bob])
    await all_know({"ada", "bob"}, channel, [ada, bob])
    assert 0 == cluster.publish(channel, "hello", "1")
    await eventually(lambda: [1] == bob.heard(channel, "hello"), 5.0)
    await bob.leave(channel)

    await all_know({"ada"}, channel, [ada])
    assert "removed" == ada.changes(channel, "bob")[-1]


async def test_edge_is_asked_and_comes_back(cluster: Cluster, crowd: Crowd) -> None:
    """An edge tells its health and metrics, and after its death comes back on its port."""
    edge = cluster.edges[0]
    await becomes(200, edge.status, 5.0)
    assert 1.0 == await edge.metric("edge_bus_connected")
    assert await edge.metric("no_such_metric") is None
    member = await crowd.connect("ada", edge, reconnects=True)
    lives = len(edge.logged("ready"))
    edge.kill()
    assert not edge.runs
    await eventually(lambda: [1006] == [closed.code for closed in member.closes], 5.0)
    await edge.start()

    await eventually(lambda: member.connected, 5.0)
    assert lives + 1 == len(edge.logged("ready"))


async def test_member_moves_on(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """A member whose edge drains is closed with 4200, and is back on another one at once."""
    leaving, staying = cluster.edges[:2]
    member = await crowd.connect("ada", leaving, reconnects=True)
    await member.join(channel)
    member.moves_to(staying)
    leaving.terminate()
    await leaving.ended()

    await all_know({"ada"}, channel, [member])
    assert [4200] == [closed.code for closed in member.closes]
    assert 2 == len(member.handshakes)
    (gap,) = member.gaps()
    assert gap[1] - gap[0] < 2.0


async def test_frozen_edge_is_silent(cluster: Cluster) -> None:
    """An edge that stands still answers nobody, and goes on where it was."""
    edge = cluster.edges[0]
    edge.freeze()
    with pytest.raises(OSError, match="timed out"):
        await edge.health()
    edge.thaw()

    await becomes(200, edge.status, 5.0)
