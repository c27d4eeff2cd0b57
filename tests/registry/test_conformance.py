"""What every registry promises, on each adapter."""

import asyncio

import pytest

from pogo.registry import Change, Entry, Registry, RevisionMismatchError, Write
from tests.registry.helpers import TOPIC, Record, delete, key, put


async def test_watch_begins_with_what_there_is(registry: Registry, peer: Registry) -> None:
    """The snapshot has been passed on when `watch` returns, with values and revisions."""
    first = await put(registry, key("a"), b"1")
    second = await put(registry, key("b"), b"2")
    record = Record()
    await peer.watch(TOPIC, record)

    [snapshot] = record.snapshots
    assert {Entry(key("a"), b"1", first), Entry(key("b"), b"2", second)} == set(snapshot)
    assert record.changes == []


async def test_empty_topic(registry: Registry) -> None:
    """A topic without entries has an empty snapshot."""
    record = Record()
    await registry.watch(TOPIC, record)

    assert record.snapshots == [[]]


async def test_watch_goes_on_with_changes(registry: Registry, peer: Registry) -> None:
    """Writes and removals follow, in order, with growing revisions."""
    await put(registry, key("a"), b"0")
    record = Record()
    await peer.watch(TOPIC, record)
    first = await put(registry, key("a"), b"1")
    second = await put(registry, key("b"), b"2")
    await delete(registry, key("a"))
    last = await put(registry, key("c"), b"3")
    changes = await record.until(last)

    assert [(change.key, change.value) for change in changes] == [
        (key("a"), b"1"),
        (key("b"), b"2"),
        (key("a"), None),
        (key("c"), b"3"),
    ]
    assert [first, second, last] == [changes[index].revision for index in (0, 1, 3)]
    assert second < changes[2].revision < last
    assert record.keys() == [key("b"), key("c")]


async def test_own_writes_are_seen(registry: Registry) -> None:
    """A writer that watches gets what it wrote like anyone else."""
    record = Record()
    await registry.watch(TOPIC, record)
    revision = await put(registry, key("a"), b"1")

    assert await record.until(revision) == [Change(key("a"), b"1", revision)]


async def test_all_watchers_see_one_order(registry: Registry, peer: Registry) -> None:
    """Whatever two writers do at once, two watchers agree about it."""
    here, there = Record(), Record()
    await registry.watch(TOPIC, here)
    await peer.watch(TOPIC, there)

    async def write(writer: Registry, name: str) -> None:
        for number in range(50):
            await put(writer, key(name), b"%d" % number)
            await put(writer, key("shared"), b"%d" % number)

    await asyncio.gather(write(registry, "a"), write(peer, "b"))
    last = await put(registry, key("end"), b"")

    assert await here.until(last) == await there.until(last)
    assert len(here.changes) == 201
    assert here.changes == sorted(here.changes, key=lambda change: change.revision)


async def test_deleting_what_is_not_there(registry: Registry) -> None:
    """It is no error, and changes nothing."""
    record = Record()
    await registry.watch(TOPIC, record)
    await delete(registry, key("a"))
    revision = await put(registry, key("b"), b"1")
    await record.until(revision)

    assert [key("b")] == record.keys()


async def test_writes_have_an_outcome_each(registry: Registry, peer: Registry) -> None:
    """Many writes at once happen in order, and each has the revision that watchers see."""
    record = Record()
    await peer.watch(TOPIC, record)
    writes = [Write(key(f"{number}"), b"%d" % number) for number in range(500)]
    outcomes = await registry.write([*writes, Write(key("7"), None)][:-1])
    removed = await registry.write([Write(key("7"), None)])
    revisions = [outcome for outcome in [*outcomes, *removed] if isinstance(outcome, int)]
    changes = await record.until(revisions[-1])

    assert 501 == len(revisions)
    assert [change.revision for change in changes] == revisions
    assert [change.key for change in changes[:-1]] == [write.key for write in writes]
    assert 499 == len(record.view)


async def test_compare_and_set(registry: Registry, peer: Registry) -> None:
    """An entry is created, replaced and removed at the revision last seen."""
    record = Record()
    await peer.watch(TOPIC, record)
    created = await registry.compare_and_set(key("a"), b"1", 0)
    replaced = await peer.compare_and_set(key("a"), b"2", created)
    removed = await registry.compare_and_set(key("a"), None, replaced)

    assert await record.until(removed) == [
        Change(key("a"), b"1", created),
        Change(key("a"), b"2", replaced),
        Change(key("a"), None, removed),
    ]
    assert created < replaced < removed


@pytest.mark.parametrize("value", [b"3", None])
async def test_stale_compare_and_set(
    registry: Registry, peer: Registry, value: bytes | None
) -> None:
    """A writer that missed a change is refused, told the revisions, and changes nothing."""
    stale = await put(registry, key("a"), b"1")
    current = await put(peer, key("a"), b"2")
    with pytest.raises(RevisionMismatchError) as caught:
        await registry.compare_and_set(key("a"), value, stale)
    record = Record()
    await registry.watch(TOPIC, record)

    assert record.view == {key("a"): (b"2", current)}
    assert (caught.value.key, caught.value.expected, caught.value.actual) == (
        key("a"),
        stale,
        current,
    )


async def test_compare_and_set_of_what_is_gone(registry: Registry) -> None:
    """A removed entry is absent: neither its old revision nor another creates it, 0 does."""
    revision = await put(registry, key("a"), b"1")
    await delete(registry, key("a"))
    with pytest.raises(RevisionMismatchError):
        await registry.compare_and_set(key("a"), b"2", revision)

    assert await registry.compare_and_set(key("a"), b"2", 0) > revision


async def test_compare_and_set_of_what_is_there(registry: Registry) -> None:
    """0 creates only: an entry that is there is not overwritten."""
    await put(registry, key("a"), b"1")

    with pytest.raises(RevisionMismatchError):
        await registry.compare_and_set(key("a"), b"2", 0)


async def test_compare_and_set_has_one_winner(registry: Registry, peer: Registry) -> None:
    """Of many writers that saw the same revision exactly one succeeds."""
    revision = await put(registry, key("a"), b"")
    writers = [registry, peer] * 10
    results = await asyncio.gather(
        *[
            writer.compare_and_set(key("a"), b"%d" % number, revision)
            for number, writer in enumerate(writers)
        ],
        return_exceptions=True,
    )
    record = Record()
    await registry.watch(TOPIC, record)
    winners = [index for index, result in enumerate(results) if isinstance(result, int)]

    assert 1 == len(winners)
    assert record.view == {key("a"): (b"%d" % winners[0], results[winners[0]])}
    assert 19 == sum(isinstance(result, RevisionMismatchError) for result in results)


async def test_topics_are_nested(registry: Registry, peer: Registry) -> None:
    """Everything under a topic is watched at any depth, and nothing that only looks alike."""
    keys = ["p.app.room.e.1", "p.app.room2.e.1", "p.app2.room.e.1", "pp.app.room.e.1"]
    for name in keys:
        await put(registry, name, b"")
    room, app, everything = Record(), Record(), Record()
    await peer.watch("p.app.room", room)
    await peer.watch("p.app", app)
    await peer.watch("p", everything)

    assert room.keys() == keys[:1]
    assert app.keys() == keys[:2]
    assert everything.keys() == keys[:3]


async def test_changes_reach_every_topic_above(registry: Registry, peer: Registry) -> None:
    """One change is told once to each watcher whose topic it is under, and to no other."""
    room, app, everything, other = Record(), Record(), Record(), Record()
    await peer.watch("p.app.room", room)
    await peer.watch("p.app", app)
    await peer.watch("p", everything)
    await peer.watch("p.app.room2", other)
    revision = await put(registry, "p.app.room.e.1", b"1")
    change = Change("p.app.room.e.1", b"1", revision)
    last = await put(registry, "p.app.room2.e.1", b"2")
    await other.until(last)

    assert await room.until(revision) == [change]
    assert (await app.until(last))[0] == change
    assert (await everything.until(last))[0] == change
    assert [last] == [change.revision for change in other.changes]


@pytest.mark.parametrize("topic", ["", "p.app.room.e", "p.app.room.e.1"])
async def test_no_topic(registry: Registry, topic: str) -> None:
    """A topic has one to three tokens."""
    with pytest.raises(ValueError, match="one to 3 tokens"):
        await registry.watch(topic, Record())


async def test_stopped_watch(registry: Registry) -> None:
    """A stopped watcher is told nothing more, others of its topic are; stopping twice is fine."""
    stopped, other = Record(), Record()
    watch = await registry.watch(TOPIC, stopped)
    await registry.watch(TOPIC, other)
    watch.stop()
    watch.stop()
    revision = await put(registry, key("a"), b"1")
    await other.until(revision)

    assert stopped.changes == []


async def test_watcher_that_stops_another(registry: Registry) -> None:
    """A watch that ends while a change is passed on does not get that very change."""
    second = Record()

    class Stopper(Record):
        def changed(self, change: Change) -> None:
            watch.stop()
            super().changed(change)

    await registry.watch(TOPIC, Stopper())
    watch = await registry.watch(TOPIC, second)
    third = Record()
    await registry.watch(TOPIC, third)
    await third.until(await put(registry, key("a"), b"1"))

    assert second.changes == []


async def test_watching_again(registry: Registry) -> None:
    """Whoever comes back begins with a snapshot of what is there by then."""
    record = Record()
    watch = await registry.watch(TOPIC, record)
    watch.stop()
    await put(registry, key("a"), b"1")
    await put(registry, key("b"), b"2")
    await delete(registry, key("a"))
    again = Record()
    await registry.watch(TOPIC, again)

    assert again.keys() == [key("b")]


async def test_owned(registry: Registry, peer: Registry) -> None:
    """What a node wrote is found by its name, under all topics, as it stands."""
    await put(registry, "p.app.room.here.1", b"1")
    revision = await put(registry, "p.app.room.here.1", b"2")
    other = await put(peer, "c.app.room.here.-", b"3")
    await put(registry, "p.app.room.there.here", b"4")
    await put(registry, "n.-.edge.here.-", b"")
    await delete(peer, "n.-.edge.here.-")
    entries = await peer.owned("here")

    assert sorted(entries, key=lambda entry: entry.revision) == [
        Entry("p.app.room.here.1", b"2", revision),
        Entry("c.app.room.here.-", b"3", other),
    ]
    assert [] == await registry.owned("nobody")


async def test_purge(registry: Registry, peer: Registry) -> None:
    """All that a node wrote goes, and nothing else."""
    for number in range(300):
        await put(registry, f"p.app.room{number}.gone.1", b"1")
    await put(registry, "p.app.room1.stays.gone", b"2")
    await peer.purge("gone")
    await peer.purge("gone")
    record = Record()
    await registry.watch("p", record)

    assert ["p.app.room1.stays.gone"] == record.keys()
    assert [] == await registry.owned("gone")


async def test_a_second_watcher_begins_with_a_snapshot(registry: Registry) -> None:
    """Whoever comes later to a topic that is watched already misses nothing, and gets it first."""
    first, second = Record(), Record()
    await registry.watch(TOPIC, first)
    await put(registry, key("a"), b"1")
    await registry.watch(TOPIC, second)
    await second.until(await put(registry, key("b"), b"2"))

    assert [key("a")] == [entry.key for entry in second.snapshots[0]]
    assert [key("a"), key("b")] == second.keys() == first.keys()


async def test_five_thousand_entries(registry: Registry, peer: Registry) -> None:
    """A topic of any size has a whole snapshot."""
    for start in range(0, 5000, 500):
        writes = [Write(key(f"{number}"), b"x" * 100) for number in range(start, start + 500)]
        assert all(isinstance(outcome, int) for outcome in await registry.write(writes))
    record = Record()
    await peer.watch(TOPIC, record)

    assert 5000 == len(record.view)


async def test_watching_while_others_write(registry: Registry, peer: Registry) -> None:
    """Nothing falls between a snapshot and the feed, however much is written meanwhile."""

    async def write() -> None:
        for number in range(0, 2000, 50):
            names = [f"{item % 300}" for item in range(number, number + 50)]
            await registry.write([Write(key(name), b"%d" % number) for name in names])
            await registry.write([Write(key(name), None) for name in names[::3]])
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    records = []
    while not writing.done():
        records.append(Record())
        await peer.watch(TOPIC, records[-1])
        await asyncio.sleep(0)
    await writing
    last = await put(registry, key("end"), b"")
    final = Record()
    await peer.watch(TOPIC, final)
    for record in records:
        await record.until(last)
        assert final.view == record.view
