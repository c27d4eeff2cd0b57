"""Reading many entries out of the stream, from whichever server answers.

A follower may be behind the leader. So a snapshot is accepted only once it has reached a revision
that the reader knows of.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pogo.bus import BusUnavailableError
from pogo.bus.nats_messages import Headers
from pogo.bus.nats_requests import Answer
from pogo.registry import nats_wire as wire
from pogo.registry.interface import Change, Entry

_PAGE = 1000
"""Messages of one answer."""

_END = 204
_NOTHING = 404
_TOO_MANY = 413
"""How an answer ends: NATS reads no more than 1,024 subjects at once by their names."""

_PATIENCE = 4.0
_AGAIN = 0.02
"""Seconds that a follower has to catch up, and between two attempts."""

Ask = Callable[[dict[str, object]], Awaitable[tuple[Headers, list[Answer]]]]


async def read_entries(ask: Ask, keys: str, reach: int) -> tuple[list[Entry], int]:
    """Read the entries whose keys match a pattern, as they stand at `reach` or later.

    Returns them, and the revision up to which they have all changes.

    Raises:
        BusUnavailableError: The server did not answer, or did not get as far.
    """
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        changes, reached = await _read(ask, wire.KEY_PREFIX + keys)
        if reached >= reach:
            return _entries(changes), reached
        if asyncio.get_running_loop().time() > deadline:
            raise BusUnavailableError("the server that was asked stays behind")
        await asyncio.sleep(_AGAIN)


async def _read(ask: Ask, subjects: str) -> tuple[list[Change], int]:
    """Read by name, which is quick however large the stream is, or else page by page."""
    end, answers = await ask({"multi_last": [subjects], "batch": _PAGE})
    if end.status == _TOO_MANY or end.number(b"Nats-Num-Pending"):
        # Not all at once. The rest might come from a server that is behind.
        return await _read_pages(ask, subjects)
    _check(end)
    # Where there is nothing at all, not even the mark, it does not say up to where.
    return _changes(answers), end.number(b"Nats-UpTo-Sequence")


async def _read_pages(ask: Ask, subjects: str) -> tuple[list[Change], int]:
    """Read in the order of revisions.

    Pages may come from servers that are not equally far; the newest revision of a key wins, and
    the last page has to come from one that has reached the mark, which lies under the topic.
    """
    changes: list[Change] = []
    last = 0
    while True:
        end, answers = await ask({"next_by_subj": subjects, "seq": last + 1, "batch": _PAGE})
        _check(end)
        changes += _changes(answers)
        if answers:
            last = changes[-1].revision
        if not answers or not end.number(b"Nats-Num-Pending"):
            return changes, last


def _check(end: Headers) -> None:
    """See that a server could read: otherwise it does not say that there is nothing."""
    if end.status not in (_END, _NOTHING):
        raise BusUnavailableError(f"nats-server could not read: status {end.status}")


def _changes(answers: list[Answer]) -> list[Change]:
    return [wire.change_of(headers, data) for headers, data in answers]


def _entries(changes: list[Change]) -> list[Entry]:
    newest: dict[str, Change] = {}
    for change in changes:
        known = newest.get(change.key)
        if known is None or known.revision < change.revision:
            newest[change.key] = change
    return [
        Entry(change.key, change.value, change.revision)
        for change in newest.values()
        if change.value is not None and not wire.is_marker(change.key)
    ]
