import pytest

from pogo.cluster.silence import Silence


@pytest.fixture(name="silence")
def _silence() -> Silence:
    return Silence(beat=2.0, limit=6.0)


def test_nobody_is_dead_before_the_limit(silence: Silence) -> None:
    """A node is dead once it was silent for the limit, and not a beat earlier."""
    silence.own_beat(0.0, ["a"])
    silence.heard("a", 1.0)

    assert [[], [], [], ["a"]] == [silence.own_beat(now, ["a"]) for now in (2.0, 4.0, 6.0, 8.0)]


def test_the_limit_itself_is_dead(silence: Silence) -> None:
    """Silence of just the limit is too long."""
    silence.heard("a", 0.0)

    assert [[], [], [], ["a"]] == [silence.own_beat(now, ["a"]) for now in (0.0, 2.0, 4.0, 6.0)]


def test_who_beats_lives(silence: Silence) -> None:
    """A node that is heard of again and again is never dead."""
    for now in range(0, 60, 2):
        silence.heard("a", now - 1.0)
        assert [] == silence.own_beat(now, ["a"])


def test_a_node_heard_late_is_alive(silence: Silence) -> None:
    """A beat counts from when it came, however late that was."""
    for now in (0.0, 2.0, 4.0):
        silence.own_beat(now, ["a"])
    silence.heard("a", 5.9)

    assert [[], [], [], ["a"]] == [silence.own_beat(now, ["a"]) for now in (6.0, 8.0, 10.0, 12.0)]


def test_own_pause_gives_everybody_the_whole_time(silence: Silence) -> None:
    """An observer that was stopped does not know what it missed."""
    for name in ("a", "b"):
        silence.heard(name, 0.0)
    for now in (0.0, 2.0, 4.0):
        silence.own_beat(now, ["a", "b"])

    assert [] == silence.own_beat(30.0, ["a", "b"])
    assert 30.0 == silence.unbroken_since
    assert [] == silence.own_beat(32.0, ["a", "b"])
    silence.heard("b", 33.0)
    assert [] == silence.own_beat(34.0, ["a", "b"])
    assert ["a"] == silence.own_beat(36.0, ["a", "b"])


@pytest.mark.parametrize(("pause", "dead"), [(3.5, ["a"]), (3.6, [])])
def test_how_late_an_own_beat_may_be(silence: Silence, pause: float, dead: list[str]) -> None:
    """One that comes three quarters of a beat late still counts as in time."""
    silence.heard("a", 0.0)
    for now in (0.0, 2.0, 4.0):
        silence.own_beat(now, ["a"])

    assert dead == silence.own_beat(4.0 + pause, ["a"])


def test_a_cut_gives_everybody_the_whole_time(silence: Silence) -> None:
    """After a cut, time counts from the next own beat, even if that comes in time."""
    silence.heard("a", 0.0)
    for now in (0.0, 2.0, 4.0):
        silence.own_beat(now, ["a"])
    silence.broken()

    assert silence.unbroken_since is None
    assert [[], [], [], ["a"]] == [silence.own_beat(now, ["a"]) for now in (6.0, 8.0, 10.0, 12.0)]


def test_a_node_never_heard_of(silence: Silence) -> None:
    """It has the whole time from when it was first seen."""
    for now in (0.0, 2.0, 4.0, 6.0):
        silence.own_beat(now, [])

    assert [[], [], [], ["a"]] == [silence.own_beat(now, ["a"]) for now in (8.0, 10.0, 12.0, 14.0)]


def test_a_forgotten_node_begins_anew(silence: Silence) -> None:
    """What was known of it does not count when it is seen again."""
    silence.heard("a", 0.0)
    for now in (0.0, 2.0, 4.0):
        silence.own_beat(now, ["a"])
    silence.forget("a")
    silence.forget("a")

    assert [] == silence.own_beat(6.0, ["a"])


def test_only_those_asked_for_are_judged(silence: Silence) -> None:
    """Whoever is no node any more is not dead."""
    silence.heard("a", 0.0)

    assert [[]] * 5 == [silence.own_beat(now, []) for now in (0.0, 2.0, 4.0, 6.0, 8.0)]
