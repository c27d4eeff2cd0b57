import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pogo.registry import Entry, RegistryUnavailableError, Write
from pogo.registry.memory import MemoryRegistry
from tests.edge.flaky import TOPIC, Case, running_case
from tests.edge.helpers import eventually


@pytest.fixture(name="case")
async def _case(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Case]:
    monkeypatch.setattr("pogo.edge.registry_writer._RETRY", 0.01)
    async with running_case() as case:
        yield case


async def test_entries_are_written_and_removed(case: Case) -> None:
    """What is wanted stands there once it is drained, under the edge's name."""
    case.put("1", b"a")
    case.put("2", b"b")
    assert 2 == case.writer.waiting
    await case.drained()

    assert {"1": b"a", "2": b"b"} == await case.stored("edge-1")
    case.delete("1")
    await case.drained()
    assert {"2": b"b"} == await case.stored()
    assert 0 == case.writer.waiting


async def test_what_was_never_written_is_never_removed(case: Case) -> None:
    """Neither what nobody has ever put, nor what was withdrawn before it was written."""
    case.delete("1")
    case.put("2", b"a")
    case.delete("2")
    case.put("3", b"b")
    await case.drained()

    assert [[("3", b"b")]] == case.registry.batches


async def test_the_last_word_wins(case: Case) -> None:
    """Many words on a key while it waits cost one write."""
    for number in range(10):
        case.put("1", b"%d" % number)
        case.put("2", b"%d" % number)
        case.delete("2")
    await case.drained()

    assert [[("1", b"9")]] == case.registry.batches


@pytest.mark.parametrize("words", [[b"2"], [None], [None, b"2"], [b"2", None], [None, b"1"]])
async def test_words_while_a_write_is_under_way(case: Case, words: list[bytes | None]) -> None:
    """One write per key is under way at a time; the last word follows it."""
    case.registry.gate.clear()
    case.put("1", b"1")
    await eventually(lambda: 1 == case.registry.in_flight)
    for word in words:
        if word is None:
            case.delete("1")
        else:
            case.put("1", word)
    assert 1 == len(case.registry.batches)
    case.registry.gate.set()
    await case.drained()

    assert ({} if words[-1] is None else {"1": words[-1]}) == await case.stored()


async def test_removals_go_first(case: Case) -> None:
    """Who leaves makes room for who comes."""
    for item in ("1", "2"):
        case.put(item, b"a")
    await case.drained()
    case.put("3", b"b")
    case.delete("2")
    await case.drained()

    assert [("2", None), ("3", b"b")] == case.registry.batches[-1]


async def test_batches_are_bounded(case: Case) -> None:
    """However much there is to write, 500 are under way at a time."""
    for number in range(1200):
        case.put(str(number), b"a")
    await case.drained()

    assert [500, 500, 200] == [len(batch) for batch in case.registry.batches]
    assert 1200 == len(await case.stored())


async def test_writes_survive_an_outage(case: Case) -> None:
    """What happens meanwhile is written in the end, and nothing is tried until then."""
    case.put("1", b"a")
    case.put("2", b"b")
    await case.drained()
    case.registry.be(connected=False)
    case.registry.batches.clear()
    case.delete("1")
    for number in range(5):
        case.put("3", b"%d" % number)
    await asyncio.sleep(0.05)  # several retries
    assert [] == case.registry.batches
    case.registry.be(connected=True)
    await case.drained()

    assert {"2": b"b", "3": b"4"} == await case.stored()


async def test_a_store_that_does_not_answer(case: Case) -> None:
    """Whatever it did not confirm is tried again; a removal, too, since it may have happened."""
    case.registry.answers = False
    with capture_logs() as logs:
        case.put("1", b"a")
        case.put("2", b"b")
        await eventually(lambda: len(case.registry.batches) > 2)
        case.delete("1")
        await eventually(lambda: ("1", None) in case.registry.batches[-1])
    assert [] == [entry for entry in logs if entry["log_level"] != "debug"]
    case.registry.answers = True
    await case.drained()

    assert {"2": b"b"} == await case.stored()


async def test_a_refused_write_holds_up_nobody(case: Case) -> None:
    """However many are refused, others get through; each reason is logged once."""
    case.registry.refused = {str(number) for number in range(600)}
    with capture_logs() as logs:
        for number in range(600):
            case.put(str(number), b"a")
        await eventually(lambda: len(case.registry.batches) > 2)
        case.put("last", b"b")
        await eventually(lambda: ("last", b"b") in case.registry.batches[-1])
        await eventually(lambda: 600 == case.writer.waiting)

    assert {"last": b"b"} == await case.stored()
    assert ["it is full"] == [each["reason"] for each in logs if each["log_level"] == "error"]
    assert (case.failures() or 0) >= 2
    case.registry.refused.clear()
    await case.drained()
    assert 601 == len(await case.stored())


async def test_refused_removals_hold_up_nobody(case: Case) -> None:
    """Though removals go first, those that are refused leave room for puts."""
    items = [str(number) for number in range(600)]
    for item in items:
        case.put(item, b"a")
    await case.drained()
    case.registry.refused = set(items)
    for item in items:
        case.delete(item)
    case.put("last", b"b")

    await eventually(
        lambda: any(("last", b"b") in batch for batch in case.registry.batches), within=1.0
    )


async def test_a_new_name(case: Case) -> None:
    """Everything is written anew under it, and only then is the edge ready."""
    case.put("1", b"a")
    case.put("2", b"b")
    case.put("3", b"c")
    case.delete("3")
    await case.drained()
    case.registry.gate.clear()
    await case.rename()
    await eventually(lambda: case.membership.lives("edge-2"))
    node = case.membership.nodes.get("edge-2")
    assert node is not None
    assert not node.state.ready
    case.registry.gate.set()
    await eventually(lambda: case.membership.is_settled)

    assert {"1": b"a", "2": b"b"} == await case.stored("edge-2")
    assert {} == await case.stored("edge-1")
    assert [("1", b"a"), ("2", b"b")] == case.registry.batches[-1]


async def test_a_new_name_while_a_write_is_under_way(case: Case) -> None:
    """A write for the old name does not count for the new one."""
    case.registry.gate.clear()
    case.put("1", b"a")
    await eventually(lambda: 1 == case.registry.in_flight)
    await case.rename()
    case.registry.gate.set()
    await eventually(lambda: case.membership.is_settled)

    assert {"1": b"a"} == await case.stored("edge-2")


async def test_a_new_name_with_nothing_to_write(case: Case) -> None:
    """An edge without clients is ready at once."""
    await case.rename()
    await eventually(lambda: case.membership.is_settled)

    assert "edge-2" == case.membership.name
    assert [] == case.registry.batches


async def test_ready_though_others_keep_coming(case: Case) -> None:
    """What comes under the new name need not be waited for."""
    case.put("1", b"a")
    await case.drained()
    case.registry.meanwhile = lambda: case.put(str(len(case.registry.batches) + 1), b"b")
    await case.rename()
    await eventually(lambda: case.membership.is_settled)

    assert b"a" == (await case.stored("edge-2"))["1"]
    case.registry.meanwhile = None


async def test_ready_though_a_value_keeps_changing(case: Case) -> None:
    """One value that stands there is enough, though it is to be another by now: a busy count."""
    case.put("1", b"0")
    await case.drained()
    case.registry.meanwhile = lambda: case.put("1", b"value %d" % len(case.registry.batches))
    await case.rename()
    try:
        await eventually(lambda: case.membership.is_settled, within=1.0)
    finally:
        case.registry.meanwhile = None

    assert "1" in await case.stored("edge-2")


async def test_not_ready_while_something_is_refused(case: Case) -> None:
    """It is, as soon as what is refused is not wanted any more."""
    case.put("1", b"a")
    case.put("2", b"b")
    await case.drained()
    case.registry.refused = {"1"}
    await case.rename()
    await eventually(lambda: case.membership.lives("edge-2") and 1 == case.writer.waiting)

    assert not case.membership.is_settled
    case.delete("1")
    case.registry.refused.clear()
    await eventually(lambda: case.membership.is_settled)


async def test_repair(case: Case) -> None:
    """After a reconnection, what is missing or wrong is written and what is left over removed."""
    for item in ("1", "2", "3"):
        case.put(item, b"a")
    await case.drained()
    await MemoryRegistry.write(
        case.registry,
        [
            Write(f"{TOPIC}.edge-1.1", None),
            Write(f"{TOPIC}.edge-1.2", b"wrong"),
            Write(f"{TOPIC}.edge-1.left", b"over"),
        ],
    )
    case.registry.batches.clear()
    case.registry.be(connected=True)
    await eventually(lambda: bool(case.registry.batches))
    await case.drained()

    assert [[("left", None), ("1", b"a"), ("2", b"a")]] == case.registry.batches
    assert "n.-.edge.edge-1.-" in [entry.key for entry in await case.registry.owned("edge-1")]
    assert {"1": b"a", "2": b"a", "3": b"a"} == await case.stored()


async def test_repair_from_time_to_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to have noticed that something was lost."""
    monkeypatch.setattr("pogo.edge.registry_writer.REPAIR_INTERVAL", 0.02)
    case.registry.be(connected=True)
    case.put("1", b"a")
    await case.drained()
    await MemoryRegistry.write(case.registry, [Write(f"{TOPIC}.edge-1.1", None)])
    await eventually(lambda: 2 == len(case.registry.batches))
    await case.drained()

    assert {"1": b"a"} == await case.stored()


async def test_repair_of_a_store_that_does_not_answer(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again the next time."""
    asked = 0

    async def owned(_: str) -> list[Entry]:
        nonlocal asked
        asked += 1
        raise RegistryUnavailableError("no answer")

    monkeypatch.setattr(case.registry, "owned", owned)
    case.registry.be(connected=True)
    await eventually(lambda: 1 == asked)
    case.registry.be(connected=True)
    await eventually(lambda: 2 == asked)
