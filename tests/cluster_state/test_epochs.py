"""Outages, and registries that begin anew: nobody is announced gone who never left."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pogo.cluster import EDGE, Membership, Views
from pogo.registry import Write
from pogo.registry.memory import MemoryRegistry
from tests.cluster_state.helpers import QUICK, Cluster, Link, Seen, Told, until

TOPIC = "p.app.room"


class Process:
    """An edge with one entry, which it writes anew under each of its names, and a view."""

    def __init__(self, store: MemoryRegistry, name: str) -> None:
        self.link = Link(store)
        self.member = Membership(self.link, EDGE, name, ready=False, timing=QUICK)
        self.told = Told(self.member)
        self.view = Seen()
        self._views = Views(self.link, self.member)

    @property
    def key(self) -> str:
        """The entry's key under the present name."""
        return f"{TOPIC}.{self.member.name}.1"

    async def start(self) -> None:
        """Join and follow the topic."""
        self.member.start()
        await self._views.follow(TOPIC, self.view)
        await self.write()

    async def write(self) -> None:
        """Write the entry and be ready."""
        await self.link.write([Write(self.key, b"v")])
        self.member.ready()

    async def stop(self) -> None:
        """Leave, without a word if the registry is away."""
        await asyncio.gather(self.member.leave(), return_exceptions=True)


@pytest.fixture(name="cluster")
async def _cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    yield cluster
    await cluster.close()


@pytest.fixture(name="processes")
async def _processes() -> AsyncIterator[list[Process]]:
    """Three edges that know each other and have told what they see."""
    store = MemoryRegistry()
    processes = [Process(store, name) for name in "abc"]
    for process in processes:
        await process.start()
    whole = sorted(process.key for process in processes)
    await until(lambda: all([whole] == each.view.told[-1:] for each in processes))
    await until(lambda: all(each.member.is_settled for each in processes))
    for process in processes:
        process.view.told.clear()
        process.told.events.clear()
    yield processes
    for process in processes:
        await process.stop()


def cut(processes: list[Process]) -> None:
    """Let the registry be away for all."""
    for process in processes:
        process.link.cut()


async def mend(processes: list[Process], store: MemoryRegistry | None = None) -> None:
    """Let it be back for all."""
    for process in processes:
        await process.link.mend(store)


async def test_an_outage_kills_nobody(processes: list[Process]) -> None:
    """However long the registry is away, all go on under their names when it is back."""
    with capture_logs() as logs:
        cut(processes)
        await asyncio.sleep(QUICK.dead_after * 3)  # nothing happens, so nothing can be awaited
        assert [[], [], []] == [each.view.told for each in processes]
        await mend(processes)
        await until(lambda: all(each.member.is_settled for each in processes))
        since = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - since > QUICK.dead_after * 2)

    assert [["settled"]] * 3 == [each.told.events for each in processes]
    assert ["a-1", "b-1", "c-1"] == [each.member.name for each in processes]
    assert [] == [entry for entry in logs if entry["log_level"] != "debug"]
    whole = sorted(each.key for each in processes)
    assert all(told == whole for each in processes for told in each.view.told)


async def test_a_registry_that_begins_anew(processes: list[Process]) -> None:
    """All take new names, and nothing is told before every edge has written all it has."""
    cut(processes)
    await mend(processes, MemoryRegistry())

    assert ["a-2", "b-2", "c-2"] == [each.member.name for each in processes]
    for process in processes[:2]:
        await process.write()
    one, two, three = processes
    await until(lambda: all(each.member.lives(each.member.name) for each in processes))
    await until(lambda: {"a", "b"} == one.member._ready_edges())  # noqa: SLF001 (nobody tells)
    assert [False] * 3 == [each.member.is_settled for each in processes]
    assert [[], [], []] == [each.view.told for each in processes]
    await three.write()
    await until(lambda: all(each.member.is_settled for each in processes))

    whole = sorted(each.key for each in processes)
    for process in (one, two, three):
        assert whole == process.view.told[0]
        assert process.told.events.index("settled") > process.told.events.index(
            f"renamed {process.member.name}"
        )
        assert 1 == process.told.events.count("settled")


async def test_one_that_does_not_come_back(processes: list[Process]) -> None:
    """It is waited for as long as for a missing beat, and then it is gone."""
    loop = asyncio.get_running_loop()
    cut(processes)
    one, two, _ = processes
    mended_at = loop.time()
    await mend([one, two], MemoryRegistry())
    for process in (one, two):
        await process.write()
    await until(lambda: one.member.is_settled and two.member.is_settled)

    assert loop.time() - mended_at >= QUICK.dead_after * 0.9
    for process in (one, two):
        assert sorted([one.key, two.key]) == process.view.told[0]


async def test_one_that_is_new(processes: list[Process]) -> None:
    """Whoever comes only now waits for nobody."""
    cut(processes)
    store = MemoryRegistry()
    await mend(processes, store)
    late = Process(store, "d")
    await late.start()
    await until(lambda: late.member.is_settled)

    assert not processes[0].member.is_settled
    await late.stop()


async def test_a_cut_while_others_are_waited_for(processes: list[Process]) -> None:
    """The wait begins anew, for the same edges."""
    cut(processes)
    store = MemoryRegistry()
    await mend(processes, store)
    for process in processes[:2]:
        await process.write()
    cut(processes)
    await mend(processes, store)
    await until(lambda: processes[0].member.sees_all)

    assert not processes[0].member.is_settled
    for process in processes:
        await process.write()
    await until(lambda: all(each.member.is_settled for each in processes))
    whole = sorted(each.key for each in processes)
    assert [whole] * 3 == [each.view.told[0] for each in processes]


async def test_a_view_that_follows_no_more(cluster: Cluster) -> None:
    """It is told nothing, whatever nodes do; stopping twice is fine."""
    link = Link(cluster.store)
    member, _ = cluster.join("a", link=link)
    await until(lambda: member.is_settled)
    view = Seen()
    following = await Views(link, member).follow(TOPIC, view)
    view.told.clear()
    following.stop()
    following.stop()
    await cluster.store.write([Write(f"{TOPIC}.a-1.1", b"v")])
    cluster.join("b")
    await cluster.until_whole()

    assert ([], {}) == (view.told, view.counted)
