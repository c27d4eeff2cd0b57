"""Reading a snapshot from servers that are not equally far."""

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pogo.bus import BusUnavailableError
from pogo.bus.nats_messages import Headers
from pogo.bus.nats_requests import Answer
from pogo.registry import nats_snapshot
from pogo.registry.nats_snapshot import read_entries
from pogo.registry.nats_wire import KEY_PREFIX, marker_key
from tests.registry.helpers import TOPIC, key

PAGE = 3
Log = Sequence[tuple[str, bytes | None]]
"""What was written, in order; the revisions count from one."""


def _headers(status: int, fields: Mapping[bytes, bytes] | None = None) -> Headers:
    """Write headers as nats-server does."""
    first = b"NATS/1.0 %d Words" % status if status else b"NATS/1.0"
    lines = [first, *(b"%b: %b" % field for field in (fields or {}).items())]
    return Headers(b"\r\n".join([*lines, b"", b""]))


class Servers:
    """Servers of one cluster that answer in turn, each as far as its position in the log.

    Args:
        log: What was written.
        positions: How far those are that answer first; all others have everything.
        by_name: How many keys are read by name.
    """

    def __init__(self, log: Log, positions: Iterable[int], *, by_name: int) -> None:
        self._log = log
        self._positions = iter(positions)
        self._by_name = by_name
        self.asked = 0

    async def ask(self, body: dict[str, object]) -> tuple[Headers, list[Answer]]:
        """Answer as nats-server does."""
        self.asked += 1
        position = min(next(self._positions, len(self._log)), len(self._log))
        newest: dict[str, int] = {}
        for revision, (name, _) in enumerate(self._log[:position], start=1):
            newest[name] = revision
        if "multi_last" in body and len(newest) > self._by_name:
            return _headers(413), []
        first, last = (body.get("seq", 0), body.get("up_to_seq", position))
        assert isinstance(first, int)
        assert isinstance(last, int)
        found = [each for each in sorted(newest.values()) if first <= each <= last]
        if not found:
            return _headers(404), []
        page = found[:PAGE]
        fields = {
            b"Nats-Num-Pending": b"%d" % (len(found) - len(page)),
            b"Nats-Last-Sequence": b"%d" % page[-1],
        }
        if "multi_last" in body:
            fields[b"Nats-UpTo-Sequence"] = b"%d" % last
        return _headers(204, fields), [self._message(revision) for revision in page]

    def _message(self, revision: int) -> Answer:
        name, value = self._log[revision - 1]
        fields = {
            b"Nats-Subject": (KEY_PREFIX + name).encode(),
            b"Nats-Sequence": b"%d" % revision,
        }
        if value is None:
            fields[b"KV-Operation"] = b"DEL"
        return _headers(0, fields), value or b""


def read(log: Log, positions: Iterable[int], by_name: int) -> tuple[dict[str, bytes], int]:
    """Read what stands in a log that ends with the marker, and how often that took a question."""
    servers = Servers([*log, (marker_key(TOPIC), b"")], positions, by_name=by_name)
    with patch.multiple(nats_snapshot, _PAGE=PAGE, _AGAIN=0.0):
        entries, _ = asyncio.run(read_entries(servers.ask, f"{TOPIC}.>", len(log) + 1))
    return {entry.key: entry.value for entry in entries}, servers.asked


NAMES = st.sampled_from([key(str(number)) for number in range(8)])
LOGS = st.lists(st.tuples(NAMES, st.sampled_from([b"1", b"2", None])), max_size=20)
SEVEN = [(key(str(number)), b"1") for number in range(7)]


@pytest.mark.parametrize("by_name", [100, 4, 0])
@given(LOGS, st.lists(st.integers(0, 21), max_size=8))
@example(SEVEN, [8, 5])
@example([*SEVEN, (key("0"), None)], [7, 9])
def test_any_servers(by_name: int, log: Log, positions: Sequence[int]) -> None:
    """Whoever answers which page, the snapshot is the state at the marker."""
    found, _ = read(log, positions, by_name)

    assert {name: value for name, value in dict(log).items() if value is not None} == found


@pytest.mark.parametrize("by_name", [100, 0])
def test_a_follower_that_is_behind(by_name: int) -> None:
    """Its snapshot is refused, and another one is asked for."""
    log = [(key("a"), b"1"), (key("b"), b"1")]
    found, asked = read(log, [1] if by_name else [1, 1], by_name)

    assert dict(log) == found
    assert asked > 1


def test_a_removal_on_a_later_page() -> None:
    """The newest word on a key counts, whichever server told the older one."""
    log = [*SEVEN, (key("0"), None)]
    found, _ = read(log, [3, 3], 0)

    assert dict(SEVEN[1:]) == found


def test_a_follower_that_stays_behind() -> None:
    """It is given up after a while."""
    with (
        patch.object(nats_snapshot, "_PATIENCE", 0.05),
        pytest.raises(BusUnavailableError, match="stays behind"),
    ):
        read(SEVEN, itertools.repeat(3), 100)


@pytest.mark.parametrize("status", [400, 408, 500])
async def test_an_answer_that_is_an_error(status: int) -> None:
    """A server that could not read does not say that there is nothing."""

    async def fail(_: dict[str, object]) -> tuple[Headers, list[Answer]]:
        return _headers(status), []

    with pytest.raises(BusUnavailableError):
        await read_entries(fail, f"{TOPIC}.>", 0)


def test_headers() -> None:
    """A field is found by its whole name, and a status where there is one."""
    headers = _headers(404, {b"Nats-Last-Sequence": b"7", b"Sequence": b"8"})

    assert (404, 7, b"8", None) == (
        headers.status,
        headers.number(b"Nats-Last-Sequence"),
        headers.get(b"Sequence"),
        headers.get(b"Nats"),
    )
    assert (0, 0) == (_headers(0).status, _headers(0).number(b"Sequence"))
    assert (0, None) == (Headers(b"").status, Headers(b"").get(b"Sequence"))
