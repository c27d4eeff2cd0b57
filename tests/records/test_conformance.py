"""What all records promise, on each adapter."""

import asyncio
import time

import pytest

from pogo.records import Record, RecordMismatchError, Records, Write
from tests.records.helpers import KEY, TTL, found, outcome, put, removal, until_gone, written


async def test_a_record_is_read_as_it_was_written(records: Records, peer: Records) -> None:
    """Any bytes come back, with the revision that their writer was told."""
    value = bytes(range(256)) + b"\r\n=-"
    revision = await written(records, put(value))

    assert Record(value, revision) == await found(peer)
    assert revision > 0


async def test_what_is_not_there(records: Records) -> None:
    """Keys without a record are none, among others."""
    revision = await written(records, put(b"1"))

    assert [None, Record(b"1", revision), None] == await records.get(["app.a", KEY, "app.b"])


async def test_nothing_to_do(records: Records) -> None:
    """To write or read nothing is done at once."""
    started = time.monotonic()

    assert ([], []) == (await records.write([]), await records.get([]))
    assert time.monotonic() - started < 0.2


async def test_a_record_is_created_once(records: Records, peer: Records) -> None:
    """A record that is there is not created, and stays as it is."""
    revision = await written(records, put(b"first"))
    second = await outcome(peer, put(b"second"))

    assert isinstance(second, RecordMismatchError)
    assert Record(b"first", revision) == await found(records)


async def test_creation_has_one_winner(records: Records, peer: Records) -> None:
    """Of many writers at once exactly one succeeds."""
    writers = [records, peer] * 10
    results = await asyncio.gather(
        *[outcome(writer, put(b"%d" % number)) for number, writer in enumerate(writers)]
    )
    winners = [index for index, result in enumerate(results) if isinstance(result, int)]
    record = await found(records)

    assert 1 == len(winners)
    assert 19 == sum(isinstance(result, RecordMismatchError) for result in results)
    assert record is not None
    assert b"%d" % winners[0] == record.value


async def test_a_record_is_replaced_at_its_revision(records: Records, peer: Records) -> None:
    """Whoever knows how a record stands may replace it; then it stands otherwise."""
    first = await written(records, put(b"1"))
    second = await written(peer, put(b"2", first))
    stale = await outcome(records, put(b"3", first))

    assert second > first
    assert isinstance(stale, RecordMismatchError)
    assert Record(b"2", second) == await found(records)


async def test_what_is_not_there_is_not_replaced(records: Records) -> None:
    """A revision that a record had does not bring it back."""
    revision = await written(records, put(b"1"))
    await written(records, removal(revision))

    assert isinstance(await outcome(records, put(b"2", revision)), RecordMismatchError)
    assert await found(records) is None


async def test_a_record_is_removed_at_its_revision(records: Records, peer: Records) -> None:
    """Whoever knows how it stands may remove it, once; then it can be created anew."""
    first = await written(records, put(b"1"))
    second = await written(records, put(b"2", first))
    stale = await outcome(peer, removal(first))
    before = await found(records)
    await written(peer, removal(second))
    again = await outcome(peer, removal(second))

    assert isinstance(stale, RecordMismatchError)
    assert Record(b"2", second) == before
    assert isinstance(again, RecordMismatchError)
    assert await found(records) is None
    assert await written(records, put(b"3")) > second


async def test_writes_have_an_outcome_each(records: Records, peer: Records) -> None:
    """Many writes at once succeed and fail by themselves."""
    taken = await written(peer, put(b"taken", key="app.7"))
    results = await records.write(
        [Write(f"app.{number}", b"%d" % number, TTL, 0) for number in range(300)]
    )
    refused = [number for number, result in enumerate(results) if not isinstance(result, int)]
    values = await peer.get([f"app.{number}" for number in range(300)])

    assert [7] == refused
    assert [b"%d" % number if number != 7 else b"taken" for number in range(300)] == [
        record.value for record in values if record is not None
    ]
    assert Record(b"taken", taken) == values[7]


async def test_calls_do_not_wait_for_each_other(records: Records, peer: Records) -> None:
    """Hundreds of calls at once are answered in much less time than one after the other."""
    started = time.monotonic()
    results = await asyncio.gather(
        *[outcome(records, put(b"1", key=f"app.{number}")) for number in range(500)],
        *[found(peer, f"app.{number}") for number in range(500)],
    )

    assert 500 == sum(isinstance(result, int) for result in results)
    assert time.monotonic() - started < 2


async def test_a_record_ends(records: Records, peer: Records) -> None:
    """It is there for its whole lifetime and soon gone then; its key can be used again."""
    started = time.monotonic()
    await written(records, put(b"1", ttl=1))
    await written(records, put(b"2", key="app.other"))
    await until_gone(peer)
    lasted = time.monotonic() - started

    assert 0.99 <= lasted < 3
    assert await found(peer, "app.other") is not None
    assert await written(peer, put(b"3")) > 0


async def test_a_write_begins_the_lifetime_anew(records: Records) -> None:
    """A record that is replaced by one that lives longer does."""
    started = time.monotonic()
    short = await written(records, put(b"1", ttl=1))
    other = await written(records, put(b"1", key="app.other", ttl=1))
    revision = await written(records, put(b"2", short))
    await until_gone(records, "app.other")

    assert time.monotonic() - started >= 0.99
    assert Record(b"2", revision) == await found(records)
    assert isinstance(
        await outcome(records, put(b"2", other, key="app.other")), RecordMismatchError
    )


@pytest.mark.parametrize("token", ["a=20b", "A-Z_9", "x" * 384])
async def test_keys(records: Records, peer: Records, token: str) -> None:
    """Encoded tokens are keys, as long as they may be."""
    await written(records, put(b"1", key=f"app.{token}"))

    assert await found(peer, f"app.{token}") is not None
    assert await found(peer, "app.a") is None


async def test_a_write_without_a_revision_replaces_whatever_is_there(
    records: Records, peer: Records
) -> None:
    """The last one stands, with a revision and a lifetime of its own; others notice."""
    first = await written(records, put(b"1", None, ttl=1))
    second = await written(peer, put(b"2", None))
    stale = await outcome(records, put(b"3", first))

    assert second > first
    assert isinstance(stale, RecordMismatchError)
    assert Record(b"2", second) == await found(records)

    third = await written(records, put(b"3", second))
    fourth = await written(peer, put(b"", None))

    assert Record(b"", fourth) == await found(records)
    assert fourth > third


async def test_revisions_rise_over_a_gap(records: Records) -> None:
    """A record that comes after its predecessor ended has a later revision."""
    first = await written(records, put(b"1", None, ttl=1))
    await until_gone(records)

    assert await written(records, put(b"2", None)) > first


def test_a_removal_names_its_revision() -> None:
    """Nobody removes what they do not know."""
    with pytest.raises(ValueError, match="at no revision"):
        Write(KEY, None, 0, None)
