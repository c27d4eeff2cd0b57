"""What every registry promises, on each adapter."""

import asyncio

import pytest

from pogo.registry import Change, Entry, Registry, RevisionMismatchError
from tests.registry.helpers import Record


async def test_watch_begins_with_what_there_is(registry: Registry, peer: Registry) -> None:
    """The snapshot has been passed on when `watch` returns, with values and revisions."""
    first = await registry.put("t.a", b"1")
    second = await registry.put("t.b", b"2")
    record = Record()
    await peer.watch("t", record)

    assert record.snapshots == [[Entry("t.a", b"1", first), Entry("t.b", b"2", second)]]
    assert record.changes == []


async def test_empty_topic(registry: Registry) -> None:
    """A topic without entries has an empty snapshot."""
    record = Record()
    await registry.watch("t", record)

    assert record.snapshots == [[]]


async def test_watch_goes_on_with_changes(registry: Registry, peer: Registry) -> None:
    """Writes and removals follow, in order, with growing revisions."""
    await registry.put("t.a", b"0")
    record = Record()
    await peer.watch("t", record)
    first = await registry.put("t.a", b"1")
    second = await registry.put("t.b", b"2")
    await registry.delete("t.a")
    last = await registry.put("t.c", b"3")
    changes = await record.until(last)

    assert [(change.key, change.value) for change in changes] == [
        ("t.a", b"1"),
        ("t.b", b"2"),
        ("t.a", None),
        ("t.c", b"3"),
    ]
    assert [first, second, last] == [changes[index].revision for index in (0, 1, 3)]
    assert second < changes[2].revision < last
    assert record.keys() == ["t.b", "t.c"]


async def test_own_writes_are_seen(registry: Registry) -> None:
    """A writer that watches gets what it wrote like anyone else."""
    record = Record()
    await registry.watch("t", record)
    revision = await registry.put("t.a", b"1")

    assert await record.until(revision) == [Change("t.a", b"1", revision)]


async def test_all_watchers_see_one_order(registry: Registry, peer: Registry) -> None:
    """Whatever two writers do at once, two watchers agree about it."""
    here, there = Record(), Record()
    await registry.watch("t", here)
    await peer.watch("t", there)

    async def write(writer: Registry, name: str) -> None:
        for number in range(50):
            await writer.put(f"t.{name}", b"%d" % number)
            await writer.put("t.shared", b"%d" % number)

    await asyncio.gather(write(registry, "a"), write(peer, "b"))
    last = await registry.put("t.end", b"")

    assert await here.until(last) == await there.until(last)
    assert len(here.changes) == 201
    assert here.changes == sorted(here.changes, key=lambda change: change.revision)


async def test_deleting_what_is_not_there(registry: Registry) -> None:
    """Nothing happens, and nobody is told."""
    record = Record()
    await registry.watch("t", record)
    await registry.delete("t.a")
    revision = await registry.put("t.b", b"1")

    assert await record.until(revision) == [Change("t.b", b"1", revision)]


async def test_compare_and_set(registry: Registry, peer: Registry) -> None:
    """An entry is created, replaced and removed at the revision last seen."""
    record = Record()
    await peer.watch("t", record)
    created = await registry.compare_and_set("t.a", b"1", 0)
    replaced = await peer.compare_and_set("t.a", b"2", created)
    removed = await registry.compare_and_set("t.a", None, replaced)

    assert await record.until(removed) == [
        Change("t.a", b"1", created),
        Change("t.a", b"2", replaced),
        Change("t.a", None, removed),
    ]
    assert created < replaced < removed


@pytest.mark.parametrize("value", [b"3", None])
async def test_stale_compare_and_set(
    registry: Registry, peer: Registry, value: bytes | None
) -> None:
    """A writer that missed a change is refused, told the revisions, and changes nothing."""
    stale = await registry.put("t.a", b"1")
    current = await peer.put("t.a", b"2")
    with pytest.raises(RevisionMismatchError) as caught:
        await registry.compare_and_set("t.a", value, stale)
    record = Record()
    await registry.watch("t", record)

    assert record.view == {"t.a": (b"2", current)}
    assert (caught.value.key, caught.value.expected, caught.value.actual) == ("t.a", stale, current)


async def test_compare_and_set_of_what_is_gone(registry: Registry) -> None:
    """A removed entry is absent: neither its old revision nor another creates it, 0 does."""
    revision = await registry.put("t.a", b"1")
    await registry.delete("t.a")
    with pytest.raises(RevisionMismatchError):
        await registry.compare_and_set("t.a", b"2", revision)

    assert await registry.compare_and_set("t.a", b"2", 0) > revision


async def test_compare_and_set_of_what_is_there(registry: Registry) -> None:
    """0 creates only: an entry that is there is not overwritten."""
    await registry.put("t.a", b"1")

    with pytest.raises(RevisionMismatchError):
        await registry.compare_and_set("t.a", b"2", 0)


async def test_compare_and_set_has_one_winner(registry: Registry, peer: Registry) -> None:
    """Of many writers that saw the same revision exactly one succeeds."""
    revision = await registry.put("t.a", b"")
    writers = [registry, peer] * 10
    results = await asyncio.gather(
        *[
            writer.compare_and_set("t.a", b"%d" % number, revision)
            for number, writer in enumerate(writers)
        ],
        return_exceptions=True,
    )
    record = Record()
    await registry.watch("t", record)
    winners = [index for index, result in enumerate(results) if isinstance(result, int)]

    assert 1 == len(winners)
    assert record.view == {"t.a": (b"%d" % winners[0], results[winners[0]])}
    assert 19 == sum(isinstance(result, RevisionMismatchError) for result in results)


async def test_topics_are_nested(registry: Registry) -> None:
    """Everything under a topic is watched, at any depth, and nothing that only looks alike."""
    keys = ["p.app.room", "p.app.room.e.1", "p.app.room2.e.1", "p.app2.room.e.1", "p.app"]
    for key in keys:
        await registry.put(key, b"")
    room, app, everything = Record(), Record(), Record()
    await registry.watch("p.app.room", room)
    await registry.watch("p.app", app)
    await registry.watch("p", everything)

    assert room.keys() == ["p.app.room.e.1"]
    assert app.keys() == ["p.app.room", "p.app.room.e.1", "p.app.room2.e.1"]
    assert everything.keys() == sorted(keys)


async def test_changes_reach_every_topic_above(registry: Registry) -> None:
    """One change is told once to each watcher whose topic it is under, and to no other."""
    room, app, other = Record(), Record(), Record()
    await registry.watch("p.app.room", room)
    await registry.watch("p.app", app)
    await registry.watch("p.app.room2", other)
    revision = await registry.put("p.app.room.e.1", b"1")
    change = Change("p.app.room.e.1", b"1", revision)
    last = await registry.put("p.app.room2.e.1", b"2")
    await other.until(last)

    assert await room.until(revision) == [change]
    assert (await app.until(last))[0] == change
    assert [last] == [change.revision for change in other.changes]


async def test_stopped_watch(registry: Registry) -> None:
    """A stopped watcher is told nothing more, others of its topic are; stopping twice is fine."""
    stopped, other = Record(), Record()
    watch = await registry.watch("t", stopped)
    await registry.watch("t", other)
    watch.stop()
    watch.stop()
    revision = await registry.put("t.a", b"1")
    await other.until(revision)

    assert stopped.changes == []


async def test_watcher_that_stops_another(registry: Registry) -> None:
    """A watch that ends while a change is passed on does not get that very change."""
    second = Record()

    class Stopper(Record):
        def changed(self, change: Change) -> None:
            watch.stop()
            super().changed(change)

    await registry.watch("t", Stopper())
    watch = await registry.watch("t", second)
    third = Record()
    await registry.watch("t", third)
    await third.until(await registry.put("t.a", b"1"))

    assert second.changes == []


async def test_watching_again(registry: Registry) -> None:
    """Whoever comes back begins with a snapshot of what is there by then."""
    record = Record()
    watch = await registry.watch("t", record)
    watch.stop()
    await registry.put("t.a", b"1")
    await registry.put("t.b", b"2")
    await registry.delete("t.a")
    again = Record()
    await registry.watch("t", again)

    assert again.keys() == ["t.b"]
