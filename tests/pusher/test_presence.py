from hypothesis import given
from hypothesis import strategies as st

from pogo.pusher.members import Member, encode_member
from pogo.pusher.presence import Joined, Left, Roster, Transition


def _value(user_id: str, info: str = "") -> bytes:
    return b'{"user_id":"%b","user_info":"%b"}' % (user_id.encode(), info.encode())


def _told(transitions: list[Transition]) -> list[str]:
    return [
        f"+{step.member.user_id}" if isinstance(step, Joined) else f"-{step.user_id}"
        for step in transitions
    ]


def _apply(roster: Roster, key: str, value: bytes | None, revision: int) -> list[Transition]:
    """Take one change and tell what it changed."""
    if value is None:
        roster.remove(key)
    else:
        roster.put(key, value, revision)
    return roster.settle()


def _info(roster: Roster, user_id: str) -> str:
    return bytes(roster.members[user_id].user_info).decode().strip('"')


def test_first_and_last_connection_count() -> None:
    """A user joins with the first connection and leaves with the last."""
    roster = Roster(100)

    assert ["+a"] == _told(_apply(roster, "1", _value("a"), 1))
    assert [] == _apply(roster, "2", _value("a"), 2)
    assert ["+b"] == _told(_apply(roster, "3", _value("b"), 3))
    assert [] == _apply(roster, "1", None, 4)
    assert ["-a"] == _told(_apply(roster, "2", None, 5))
    assert ["b"] == list(roster.members)


def test_the_first_connection_speaks_for_the_user() -> None:
    """The information is that of the lowest revision, whatever the order of arrival."""
    roster = Roster(100)
    _apply(roster, "2", _value("a", "second"), 20)
    _apply(roster, "1", _value("a", "first"), 10)

    assert "first" == _info(roster, "a")
    _apply(roster, "3", _value("a", "third"), 30)
    _apply(roster, "1", None, 40)
    assert "second" == _info(roster, "a")


def test_an_unknown_key_can_be_removed() -> None:
    """Removing what is not there changes nothing."""
    roster = Roster(100)

    assert [] == _apply(roster, "1", None, 1)


def test_a_key_can_change_hands() -> None:
    """When an entry becomes another user's, one leaves and one joins."""
    roster = Roster(100)
    _apply(roster, "1", _value("a"), 1)

    assert ["-a", "+b"] == _told(_apply(roster, "1", _value("b"), 2))


def test_a_snapshot_tells_the_difference() -> None:
    """Only what changed is told."""
    roster = Roster(100)
    _apply(roster, "1", _value("a"), 1)
    _apply(roster, "2", _value("b"), 2)
    roster.reset([("2", _value("b"), 2), ("3", _value("c"), 3)])

    assert ["-a", "+c"] == _told(roster.settle())
    assert roster.user_of("1") is None
    assert "c" == roster.user_of("3")


def test_only_the_difference_is_told_in_the_end() -> None:
    """Who came and went again before anyone was told was never there, and the other way round."""
    roster = Roster(100)
    _apply(roster, "1", _value("a"), 1)
    roster.remove("1")
    roster.put("2", _value("b"), 2)
    roster.remove("2")
    roster.put("3", _value("c"), 3)
    roster.reset([("4", _value("a"), 4), ("5", _value("d"), 5)])

    assert ["a"] == list(roster.members)
    assert ["+d"] == _told(roster.settle())
    assert [] == roster.settle()


def test_beyond_the_limit_those_who_came_first_are_present() -> None:
    """Whoever found no place comes in some time after somebody left, the longest waiting first."""
    roster = Roster(2)
    _apply(roster, "1", _value("a"), 1)
    _apply(roster, "2", _value("b"), 2)

    assert [] == _apply(roster, "3", _value("c"), 3)
    assert [] == _apply(roster, "4", _value("d"), 4)
    assert [] == _apply(roster, "5", _value("a"), 5)
    assert ["a", "b"] == sorted(roster.members)
    assert ["-b"] == _told(_apply(roster, "2", None, 6))
    roster.promote()
    assert ["+c"] == _told(roster.settle())
    assert ["-c"] == _told(_apply(roster, "3", None, 7))
    assert [] == _apply(roster, "1", None, 8)
    roster.promote()
    assert ["+d"] == _told(roster.settle())
    assert ["a", "d"] == sorted(roster.members)
    assert not roster.keeps_out


def test_who_was_refused_is_never_seen() -> None:
    """A place that becomes free is not given to somebody whose entry is about to go."""
    roster = Roster(1)
    _apply(roster, "1", _value("a"), 1)
    _apply(roster, "2", _value("b"), 2)

    assert ["-a"] == _told(_apply(roster, "1", None, 3))
    assert [] == _apply(roster, "2", None, 4)
    assert not roster.keeps_out
    assert ["+b"] == _told(_apply(roster, "3", _value("b"), 5))


def test_who_was_refused_takes_no_place() -> None:
    """Nobody has to go, and nobody is refused, for the sake of an entry that is about to go."""
    roster = Roster(2)
    for revision, user in enumerate("abc", 1):
        _apply(roster, user, _value(user), revision)

    assert [] == _apply(roster, "a2", _value("a"), 4)
    assert [] == _apply(roster, "a", None, 5)
    assert ["-a"] == _told(_apply(roster, "a2", None, 6))
    assert ["+d"] == _told(_apply(roster, "d", _value("d"), 7))
    assert ["b", "d"] == sorted(roster.members)


def test_an_earlier_user_displaces_a_later_one() -> None:
    """Every node comes to the same roster, in whatever order it learns of the entries."""
    roster = Roster(1)
    _apply(roster, "2", _value("b"), 2)

    assert ["-b", "+a"] == _told(_apply(roster, "1", _value("a"), 1))


_CHANGES = st.lists(
    st.tuples(st.integers(0, 8), st.none() | st.sampled_from("abcdef")), max_size=40
)


@given(_CHANGES, st.integers(1, 4))
def test_the_roster_is_a_function_of_the_entries(
    changes: list[tuple[int, str | None]], limit: int
) -> None:
    """Told step by step or at once, the roster is the same, and each user's steps alternate."""
    roster = Roster(limit)
    entries: dict[str, tuple[bytes, int]] = {}
    present: set[str] = set()
    for revision, (number, user_id) in enumerate(changes, 1):
        key = str(number)
        value = None if user_id is None else encode_member(Member(user_id))
        for step in _apply(roster, key, value, revision):
            if isinstance(step, Left):
                present.remove(step.user_id)
            else:
                assert step.member.user_id not in present
                present.add(step.member.user_id)
        entries.pop(key, None)
        if value is not None:
            entries[key] = value, revision
    roster.promote()
    for step in roster.settle():
        if isinstance(step, Left):
            present.remove(step.user_id)
        else:
            present.add(step.member.user_id)
    other = Roster(limit)
    other.reset((key, value, revision) for key, (value, revision) in entries.items())
    other.settle()

    assert present == set(roster.members)
    assert other.members == roster.members
