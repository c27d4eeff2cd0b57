"""Beats, death, coming back and leaving, in one life of the registry."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.json import encode
from structlog.testing import capture_logs

from pogo.cluster import BROKER, EDGE, Membership, Views, reaper
from pogo.registry import Entry, RegistryUnavailableError, Write
from pogo.registry.memory import MemoryRegistry
from tests.cluster_state.helpers import QUICK, Cluster, Link, Seen, node_key, until

ENTRY = "p.app.room.{}.1"
BEAT = b'{"process":"ghost","ready":true}'


@pytest.fixture(name="cluster")
async def _cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    yield cluster
    await cluster.close()


async def silent_node(store: MemoryRegistry, name: str = "ghost-1") -> None:
    """Let a node write its key and one entry, and never beat again."""
    await store.write([Write(node_key(name), BEAT), Write(ENTRY.format(name), b"v")])


async def test_a_process_joins(cluster: Cluster) -> None:
    """It knows itself first, and is settled as soon as it is ready."""
    member, told = cluster.join("a", ready=False)
    await until(lambda: member.sees_all)

    assert member.known
    assert ["+a-1"] == told.events
    member.ready()
    await until(lambda: member.is_settled)
    assert ["+a-1", "settled"] == told.events


async def test_all_know_each_other(cluster: Cluster) -> None:
    """Every process sees every node, whatever its role, and each came once."""
    members = [cluster.join("a"), cluster.join("b"), cluster.join("c", role=BROKER)]
    await cluster.until_whole()

    for member, told in members:
        assert ["a-1", "b-1"] == sorted(node.name for node in member.nodes.of_role(EDGE))
        assert ["+a-1", "+b-1", "+c-1"] == sorted(e for e in told.events if e != "settled")
        assert member.lives("c-1")
        assert not member.lives("d-1")


async def test_one_that_stands_still_is_dead(cluster: Cluster) -> None:
    """One of the others declares it dead and drops what it wrote; all are told once."""
    link = Link(cluster.store)
    one, other = cluster.join("a"), cluster.join("b")
    cluster.join("c", link=link)
    await cluster.until_whole()
    await cluster.store.write([Write(ENTRY.format("c-1"), b"v")])
    with capture_logs() as logs:
        link.cut()
        await until(lambda: not one[0].lives("c-1") and not other[0].lives("c-1"))
    await until(lambda: "c-1" not in cluster.store._owned)  # noqa: SLF001 (asks without a beat)

    dead = [entry for entry in logs if entry["event"] == "node declared dead"]
    assert [("c-1", EDGE)] == [(entry["node"], entry["role"]) for entry in dead]
    for _, told in (one, other):
        assert 1 == told.events.count("-c-1")


class Together(Link):
    """A link whose removals wait until all of its kind want one."""

    waiting: set[Link]
    met: asyncio.Event

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Wait, then remove."""
        if value is None:
            self.waiting.add(self)
            if len(self.waiting) == 2:
                self.met.set()
            await self.met.wait()
        return await super().compare_and_set(key, value, revision)


async def test_one_of_two_declares_it_dead(cluster: Cluster) -> None:
    """Of two that see it at the same time, one wins."""
    Together.waiting, Together.met = set(), asyncio.Event()
    members = [cluster.join("a", link=Together(cluster.store)) for _ in "ab"]
    await silent_node(cluster.store)
    with capture_logs() as logs:
        await until(lambda: all(not member.lives("ghost-1") for member, _ in members))
        await until(Together.met.is_set)

    assert 1 == sum(entry["event"] == "node declared dead" for entry in logs)
    for _, told in members:
        assert 1 == told.events.count("-ghost-1")


class Overtaken(Link):
    """A link whose every removal comes after another beat of the node."""

    removals = 0

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Let the node beat first."""
        if value is None and key == node_key("ghost-1"):
            self.removals += 1
            await self.store.write([Write(key, BEAT)])
        return await super().compare_and_set(key, value, revision)


async def test_a_stale_reaper_does_nothing(cluster: Cluster) -> None:
    """A node that beats just before it is declared dead lives on, with all it wrote."""
    link = Overtaken(cluster.store)
    member, told = cluster.join("a", link=link)
    await silent_node(cluster.store)
    await until(lambda: link.removals >= 3)
    await asyncio.sleep(0)  # the last removal has been refused

    assert member.lives("ghost-1")
    assert "-ghost-1" not in told.events
    keys = {entry.key for entry in await cluster.store.owned("ghost-1")}
    assert {node_key("ghost-1"), ENTRY.format("ghost-1")} == keys


async def test_one_taken_for_dead_comes_back(cluster: Cluster) -> None:
    """It has a new name, is told of it before anything is settled, and drops its old entries."""
    link = Link(cluster.store)
    other, _ = cluster.join("a")
    member, told = cluster.join("b", link=link, ready=False)
    member.ready()
    await cluster.until_whole()
    link.cut()
    assert not member.is_settled
    await until(lambda: not other.lives("b-1"))
    await cluster.store.write([Write(ENTRY.format("b-1"), b"late")])
    told.events.clear()
    await link.mend()

    assert ["renamed b-2", "-b-1"] == told.events
    assert "b-2" == member.name
    await until(lambda: other.lives("b-2"))
    assert not member.is_settled
    node = other.nodes.get("b-2")
    assert node is not None
    assert ("b", False) == (node.state.process, node.state.ready)
    member.ready()
    await cluster.until_whole()
    assert ["renamed b-2", "-b-1", "+b-2", "settled"] == told.events
    await until(lambda: "b-1" not in cluster.store._owned)  # noqa: SLF001 (asks without a beat)


async def test_a_key_that_is_removed_under_a_live_node(cluster: Cluster) -> None:
    """The node hears of it and comes back, without any cut."""
    member, told = cluster.join("a")
    await until(lambda: member.is_settled)
    await cluster.store.write([Write(node_key("a-1"), None)])
    await cluster.until_whole()

    assert ["+a-1", "settled", "renamed a-2", "-a-1", "+a-2", "settled"] == told.events


async def test_a_key_that_vanishes_silently(cluster: Cluster) -> None:
    """The next beat finds it gone, and the node comes back."""
    member, _ = cluster.join("a")
    await until(lambda: member.is_settled)
    await cluster.store.purge("a-1")
    await until(lambda: member.is_settled and member.name == "a-2")

    assert member.lives("a-2")


class Unheard(Link):
    """A link whose first beat arrives, and whose answer does not."""

    unheard = True

    async def compare_and_set(self, key: str, value: bytes | None, revision: int) -> int:
        """Write, and at first seem not to have."""
        written = await super().compare_and_set(key, value, revision)
        if self.unheard:
            self.unheard = False
            raise RegistryUnavailableError("no answer")
        return written


async def test_a_beat_whose_answer_is_lost(cluster: Cluster) -> None:
    """The node finds its own key and goes on under the same name."""
    member, told = cluster.join("a", link=Unheard(cluster.store))
    await until(lambda: member.is_settled)
    first = member.nodes.get("a-1")
    assert first is not None
    await until(lambda: first != member.nodes.get("a-1"))

    assert "a-1" == member.name
    assert ["+a-1", "settled"] == told.events


async def test_a_name_that_was_removed_never_lives_again(cluster: Cluster) -> None:
    """Not even if its node was cut off before it knew that its first beat had arrived."""
    link = Unheard(cluster.store)
    other, told = cluster.join("a")
    member, _ = cluster.join("b", link=link)
    await until(lambda: other.lives("b-1"))
    link.cut()
    await until(lambda: not other.lives("b-1"))
    await link.mend()
    await cluster.until_whole()

    assert "b-2" == member.name
    assert ["+b-1", "-b-1", "+b-2"] == [event for event in told.events if "b-" in event]


async def test_leaving(cluster: Cluster) -> None:
    """Key and entries go at once; the others are told, and nobody declares anyone dead."""
    other, told = cluster.join("a")
    leaver = Membership(Link(cluster.store), EDGE, "b", ready=True, timing=QUICK)
    leaver.start()
    await until(lambda: other.lives("b-1"))
    await cluster.store.write([Write(ENTRY.format("b-1"), b"v")])
    with capture_logs() as logs:
        await leaver.leave()

    assert [] == await cluster.store.owned("b-1")
    assert not other.lives("b-1")
    assert "-b-1" == told.events[-1]
    assert [] == [entry for entry in logs if entry["log_level"] != "debug"]


async def test_leaving_while_the_registry_is_away(cluster: Cluster) -> None:
    """It says so; the others find out by themselves."""
    link = Link(cluster.store)
    leaver = Membership(link, EDGE, "b", ready=True, timing=QUICK)
    leaver.start()
    await until(lambda: leaver.is_settled)
    link.cut()

    with pytest.raises(RegistryUnavailableError):
        await leaver.leave()
    other, _ = cluster.join("a")
    await until(lambda: other.known and not other.lives("b-1"))


async def test_strangers_are_purged(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of a node that nobody knows go after a while; those of one that comes stay."""
    monkeypatch.setattr(reaper, "_STRANGER_AFTER", QUICK.dead_after)
    for name in ("nobody-1", "late-1"):
        await cluster.store.write([Write(ENTRY.format(name), b"v")])
    link = Link(cluster.store)
    member, _ = cluster.join("a", link=link)
    await until(lambda: member.is_settled)
    views = Views(link, member)
    view = Seen()
    await views.follow("p", view)
    late = Membership(Link(cluster.store), EDGE, "late", ready=True, timing=QUICK)
    late.start()
    await until(lambda: "nobody-1" not in cluster.store._owned)  # noqa: SLF001 (asks without a beat)

    assert {ENTRY.format("late-1"): b"v"} == view.counted
    await late.leave()
    assert {} == view.counted


async def test_how_long_a_role_has_been_silent(cluster: Cluster) -> None:
    """The time counts from the last node heard of, and only while the registry is there."""
    link = Link(cluster.store)
    member, _ = cluster.join("a", link=link, role=BROKER)

    assert 0.0 == member.silent_for(EDGE)
    await until(lambda: member.silent_for(EDGE) > QUICK.beat)
    await silent_node(cluster.store)
    assert member.silent_for(EDGE) < QUICK.beat
    link.cut()
    assert 0.0 == member.silent_for(EDGE)


async def test_reading_the_nodes_again_is_no_beat(cluster: Cluster) -> None:
    """A node that stands still is dead however often the registry is read again meanwhile."""
    member, told = cluster.join("a")
    await silent_node(cluster.store)
    await until(lambda: member.lives("ghost-1"))

    def read_again() -> bool:
        if not member.lives("ghost-1"):
            return True
        nodes = [member.nodes.get(name) for name in member.nodes]
        member.snapshot([Entry(n.key, encode(n.state), n.revision) for n in nodes if n is not None])
        return False

    await until(read_again, within=QUICK.dead_after * 10)
    assert 1 == told.events.count("-ghost-1")
