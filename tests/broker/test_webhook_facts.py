"""What endpoints are told of channels, without any I/O: each difference once, and in order."""

from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pogo.broker.webhooks.facts import (
    ALWAYS_TOLD,
    COUNT_INTERVAL,
    Announcements,
    Fact,
    ledger_key,
    read_ledger,
)
from pogo.broker.webhooks.leadership import leader_of
from pogo.broker.webhooks.state import ChannelStates, Kind, Point
from pogo.pusher.members import Member, encode_member
from pogo.registry import Entry, Key
from pogo.registry.keys import counts_topic, presence_topic
from pogo.settings import Webhook, WebhookEvent

DELAY = 3.0
GRACE = 6.0
LIMIT = 3
ROOM = "presence-room"
EVERYTHING = Webhook(url="http://127.0.0.1/", name="all")


class Desk:
    """A leader of one app with one endpoint, whose store and clock a test holds in its hand."""

    def __init__(
        self,
        webhook: Webhook = EVERYTHING,
        *,
        states: ChannelStates | None = None,
        ledger: dict[str, bytes] | None = None,
        now: float = 0.0,
        grace: float = 0.0,
    ) -> None:
        self.webhook = webhook
        self.ledger = {} if ledger is None else ledger
        self.states = states or ChannelStates(LIMIT, lambda: None)
        self.now = now
        self.told: list[str] = []
        self._revision = 0
        self.lead(grace)

    def lead(self, grace: float = 0.0) -> None:
        """Begin to compare, as whoever leads next does."""
        told, self.useless = read_ledger(self.ledger, [self.webhook.name])
        self.announcements = Announcements(
            self.webhook, told[self.webhook.name], delay=DELAY, not_before=self.now + grace
        )
        self.states.take_changed()
        points = {*self.states.points(), *self.announcements.points}
        self.announcements.compare(dict.fromkeys(points, False), self.states.value, self.now)

    def count(self, channel: str, number: int, edge: str = "edge") -> None:
        """Have an edge write a count, or remove it with 0."""
        view = self.states.subscribers
        key = str(Key(counts_topic("app", channel), edge, "-"))
        if number:
            view.put(self._entry(key, b"%d" % number))
        else:
            view.removed(key)
        view.settle()

    def join(self, user: str, socket: str = "1", channel: str = ROOM) -> None:
        """Have an edge write a connection's entry."""
        view = self.states.members
        view.put(self._entry(member_key(user, socket, channel), encode_member(Member(user))))
        view.settle()

    def leave(self, user: str, socket: str = "1", channel: str = ROOM) -> None:
        """Have it removed."""
        view = self.states.members
        view.removed(member_key(user, socket, channel))
        view.settle()

    def look(self) -> list[Fact]:
        """Compare, and return what is due."""
        announcements = self.announcements
        announcements.compare(self.states.take_changed(), self.states.value, self.now)
        return announcements.due(self.states.value, self.now)

    def tell(self, facts: Iterable[Fact]) -> None:
        """Commit."""
        facts = list(facts)
        for fact in facts:
            key, entry = ledger_key(self.webhook.name, fact.point), fact.entry
            if entry is None:
                del self.ledger[key]
            else:
                self.ledger[key] = entry
            if self.announcements.wants(fact):
                self.told.append(text(fact))
        self.announcements.announced(facts, self.now)

    def after(self, seconds: float = 0.0) -> list[str]:
        """Let time pass, tell what is due then, and return it."""
        self.look()
        self.now += seconds
        self.tell(self.look())
        told, self.told = self.told, []
        return told

    def _entry(self, key: str, value: bytes) -> Entry:
        self._revision += 1
        return Entry(key, value, self._revision)


def member_key(user: str, socket: str, channel: str) -> str:
    """Name the entry of a connection."""
    return str(Key(presence_topic("app", channel), "edge", f"{socket}-{user}"))


def text(fact: Fact) -> str:
    """Write an event in short."""
    point = fact.point
    about = point.user_id if point.kind is Kind.MEMBER else point.channel
    number = f" {fact.value}" if point.kind is Kind.COUNT else ""
    return f"{fact.event} {about}{number}"


def webhook(*events: WebhookEvent, prefixes: Sequence[str] = ()) -> Webhook:
    """Make an endpoint that wants only some of it."""
    return Webhook(
        url="http://127.0.0.1/", name="some", events=events, channel_prefixes=tuple(prefixes)
    )


def test_a_channel_is_occupied_at_once_and_vacated_later() -> None:
    """The beginning is told at once, the end when it has lasted for the delay."""
    desk = Desk()
    desk.count("news", 1)

    assert ["channel_occupied news", "subscription_count news 1"] == desk.after()
    desk.count("news", 0)
    assert [] == desk.after(DELAY - 0.1)
    assert ["subscription_count news 0", "channel_vacated news"] == desk.after(0.1)
    assert [] == desk.after(100.0)
    assert {} == desk.ledger


def test_who_comes_back_in_time_never_left() -> None:
    """A return within the delay cancels the end, which begins anew with the next one."""
    desk = Desk(webhook("channel_occupied", "channel_vacated", "member_added", "member_removed"))
    desk.join("ada")

    assert ["channel_occupied presence-room", "member_added ada"] == desk.after()
    desk.leave("ada")
    assert [] == desk.after(2.0)
    desk.join("ada", "2")
    assert [] == desk.after(2.0)
    desk.leave("ada", "2")
    assert [] == desk.after(2.9)
    assert ["member_removed ada", "channel_vacated presence-room"] == desk.after(0.2)


def test_who_was_back_for_a_moment_has_left_again() -> None:
    """A return counts however short it was, also if nobody looked meanwhile."""
    desk = Desk(webhook("channel_vacated", "member_removed"))
    desk.join("ada")
    desk.count("news", 1)
    desk.after()
    desk.leave("ada")
    desk.count("news", 0)
    assert [] == desk.after(DELAY - 1.0)
    desk.join("ada")
    desk.leave("ada")
    desk.count("news", 1)
    desk.count("news", 0)

    assert [] == desk.after(DELAY - 0.1)
    assert 3 == len(desk.after(0.1))


def test_what_changes_after_a_look_waits_for_the_next() -> None:
    """A beginning that is over, and an end that is none, are not told as their opposite."""
    desk = Desk(webhook("member_added", "member_removed"))
    desk.join("ada")
    desk.after()
    desk.leave("ada")
    desk.join("ben")
    desk.look()
    desk.now += DELAY
    desk.join("ada")
    desk.leave("ben")

    assert [] == desk.announcements.due(desk.states.value, desk.now)
    assert [] == desk.after(DELAY)


def test_a_user_is_there_once() -> None:
    """Further connections of a user, on whichever edge, tell nothing."""
    desk = Desk()
    desk.join("ada", "1")
    desk.join("ada", "2")

    assert ["channel_occupied presence-room", "member_added ada"] == desk.after()
    desk.leave("ada", "1")
    assert [] == desk.after(10.0)


def test_who_found_no_place_is_not_told() -> None:
    """A full channel has the users that edges let in, also when one of them leaves meanwhile."""
    desk = Desk(webhook("member_added", "member_removed"))
    for user in ("a", "b", "c", "d"):
        desk.join(user)

    assert ["member_added a", "member_added b", "member_added c"] == sorted(desk.after())
    desk.leave("a")
    assert ["member_removed a"] == desk.after(DELAY)
    desk.leave("d")
    assert [] == desk.after(DELAY)


def test_who_stays_without_a_place_was_let_in() -> None:
    """Who is there still after a while was let in by an edge that saw a free place."""
    desk = Desk(webhook("member_added"))
    for user in ("a", "b", "c", "d"):
        desk.join(user)
    desk.after()
    desk.leave("a")
    desk.states.members.tick()

    assert [] == desk.after(1.0)
    desk.states.members.tick()
    assert ["member_added d"] == desk.after(1.0)


def test_large_counts_are_told_now_and_then() -> None:
    """Up to a hundred, every count is told; with more, one in five seconds."""
    desk = Desk(webhook("subscription_count"))
    desk.count("news", ALWAYS_TOLD)

    assert ["subscription_count news 100"] == desk.after()
    desk.count("news", 101)
    assert ["subscription_count news 101"] == desk.after()
    desk.count("news", 102)
    assert [] == desk.after(1.0)
    desk.count("news", 103)
    assert [] == desk.after(COUNT_INTERVAL - 1.1)
    assert desk.now + 0.1 == pytest.approx(desk.announcements.next_due())
    assert ["subscription_count news 103"] == desk.after(0.2)
    desk.count("news", 104)
    desk.count("news", 99)
    assert ["subscription_count news 99"] == desk.after()


def test_counts_of_edges_add_up() -> None:
    """A channel is occupied while any edge has subscribers of it."""
    desk = Desk()
    desk.count("news", 2, "one")
    desk.count("news", 3, "two")

    assert ["channel_occupied news", "subscription_count news 5"] == desk.after()
    desk.count("news", 0, "one")
    assert ["subscription_count news 3"] == desk.after()


def test_an_endpoint_is_told_what_it_wants() -> None:
    """Other events and other channels are neither told nor remembered, half of a pair is."""
    desk = Desk(webhook("channel_vacated", prefixes=["presence-"]))
    desk.count("news", 1)
    desk.join("ada")

    assert [] == desk.after()
    assert 1 == len(desk.ledger)
    desk.count("news", 0)
    desk.leave("ada")
    assert ["channel_vacated presence-room"] == desk.after(DELAY)


def test_the_next_leader_tells_what_nobody_has() -> None:
    """What changed while nobody led is told; what was told before is not told again."""
    first = Desk()
    first.join("ada")
    first.join("ben")
    first.after()
    first.leave("ben")
    first.count("news", 1)
    second = Desk(states=first.states, ledger=first.ledger, now=first.now, grace=GRACE)

    assert ["channel_occupied news", "subscription_count news 1"] == second.after()
    assert [] == second.after(GRACE - 0.1)
    assert ["member_removed ben"] == second.after(0.1)


def test_a_commit_that_failed_is_told_again() -> None:
    """What is due stays due until it stands in the ledger, unless it is over by then."""
    desk = Desk(webhook("channel_occupied", "channel_vacated"))
    desk.count("news", 1)
    desk.count("gone", 1)

    assert 2 == len(desk.look())
    desk.count("gone", 0)
    assert ["channel_occupied news"] == desk.after()
    desk.count("news", 0)
    desk.look()
    desk.now += DELAY
    desk.look()
    assert 1 == len(desk.look())
    desk.count("news", 1)
    assert [] == desk.after()


def test_who_stood_still_waits_anew() -> None:
    """After a pause of the whole process, whoever is missing gets the whole time again."""
    desk = Desk(webhook("channel_vacated"))
    desk.count("news", 1)
    desk.after()
    desk.count("news", 0)
    desk.after()
    desk.now += 20.0
    desk.announcements.wait_anew(desk.now)

    assert [] == desk.after(DELAY - 0.1)
    assert ["channel_vacated news"] == desk.after(0.1)


def test_what_the_ledger_has_of_others_is_useless() -> None:
    """Endpoints that are gone, what an endpoint wants no more, and what cannot be read."""
    old = Desk(EVERYTHING)
    old.join("ada")
    old.after()
    ledger = {**old.ledger, "some/x/y": b"?", "some/c/z": b'[["z","q",""],1]'}
    told, useless = read_ledger(ledger, ["some"])

    assert {"some": {}} == told
    assert sorted(ledger) == sorted(useless)
    told, useless = read_ledger(old.ledger, ["all"])
    some = Announcements(
        webhook("channel_vacated").model_copy(update={"name": "all"}),
        told["all"],
        delay=DELAY,
        not_before=0.0,
    )
    assert [] == useless
    assert [ledger_key("all", Point(Kind.MEMBER, ROOM, "ada"))] == some.useless


@pytest.mark.parametrize("kind", list(Kind))
def test_keys_are_short(kind: Kind) -> None:
    """Whatever the names, a key has no more bytes than the store takes."""
    point = Point(kind, "c" * 800, "\U0001f600" * 128)

    assert len(ledger_key("e" * 128, point).encode()) <= 1024


def test_members_of_different_channels_have_different_keys() -> None:
    """No name of a channel and a user makes the key of others."""
    one, two = Point(Kind.MEMBER, "a", "b"), Point(Kind.MEMBER, "b", "a")

    assert ledger_key("e", one) != ledger_key("e", two)


def test_a_snapshot_replaces_what_was_there() -> None:
    """Whatever a snapshot does not have is gone, in both views."""
    desk = Desk(webhook("channel_occupied", "channel_vacated"))
    desk.count("news", 1)
    desk.join("ada")
    desk.after()
    for view in (desk.states.subscribers, desk.states.members):
        view.reset([])
        view.settle()

    assert ["channel_vacated news", f"channel_vacated {ROOM}"] == sorted(desk.after(DELAY))


def test_nothing_is_concluded_before_it_is_settled() -> None:
    """A view that was emptied and filled again in an unsettled cluster tells nothing."""
    desk = Desk()
    desk.join("ada")
    desk.count("news", 1)
    desk.after()
    members, subscribers = desk.states.members, desk.states.subscribers
    members.reset([])
    subscribers.reset([])

    assert [] == desk.after(10.0)
    members.reset([Entry(member_key("ada", "1", ROOM), encode_member(Member("ada")), 1)])
    subscribers.put(Entry(str(Key(counts_topic("app", "news"), "edge", "-")), b"1", 2))
    members.settle()
    subscribers.settle()
    assert [] == desk.after(10.0)


CHANNELS = ("presence-a", "presence-b")
USERS = ("1", "2", "3", "4")
SOCKETS = ("x", "y")
_member = st.tuples(
    st.sampled_from(["join", "leave"]),
    st.sampled_from(USERS),
    st.sampled_from(SOCKETS),
    st.sampled_from(CHANNELS),
)
_count = st.tuples(st.just("count"), st.sampled_from(["news", "sport"]), st.integers(0, 3))
_pass = st.tuples(st.sampled_from(["wait", "lost", "lead", "part"]), st.floats(0.0, 4.0))
_STEPS = st.lists(st.one_of(_member, _count, _pass), max_size=40)


@settings(max_examples=300, deadline=None)
@given(_STEPS)
def test_what_is_told_makes_sense_whatever_happens(steps: list[tuple[object, ...]]) -> None:
    """Beginnings and ends alternate, members come while their channel is there; all is told."""
    desk = Desk()
    history: list[str] = []
    for step in steps:
        match step:
            case ("join", str(user), str(socket), str(channel)):
                desk.join(user, socket, channel)
            case ("leave", str(user), str(socket), str(channel)):
                desk.leave(user, socket, channel)
            case ("count", str(channel), int(number)):
                desk.count(channel, number)
            case ("wait", float(seconds)):
                history += told(desk, seconds, lambda facts: facts)
            case ("part", float(seconds)):
                history += told(desk, seconds, lambda facts: facts[: len(facts) // 2])
            case ("lost", float(seconds)):
                history += told(desk, seconds, lambda _: [])
            case _:
                desk.lead(GRACE)
        desk.states.members.settle()
    for _ in range(3):
        desk.states.members.tick()
    history += told(desk, 0.0, lambda facts: facts)
    history += told(desk, GRACE, lambda facts: facts)

    assert [] == violations(history)
    values = {point: desk.states.value(point) for point in desk.states.points()}
    expected = {point: value for point, value in values.items() if value}
    announced, _ = read_ledger(desk.ledger, ["all"])
    assert expected == announced["all"]
    assert 0 == desk.announcements.waiting
    assert desk.announcements.next_due() is None


def told(desk: Desk, seconds: float, part: Callable[[list[Fact]], Iterable[Fact]]) -> list[str]:
    """Let time pass and commit a part of what is due; returns that, with channels of members."""
    desk.look()
    desk.now += seconds
    facts = list(part(desk.look()))
    desk.tell(facts)
    return [f"{fact.event} {fact.point.channel} {fact.point.user_id}".strip() for fact in facts]


def violations(history: list[str]) -> list[str]:
    """Return what must not have been told."""
    wrong: list[str] = []
    there: set[str] = set()
    for line in history:
        event, _, about = line.partition(" ")
        channel = about.partition(" ")[0]
        match event:
            case "channel_occupied" | "member_added":
                is_wrong = about in there or (event == "member_added" and channel not in there)
                there.add(about)
            case "channel_vacated":
                is_wrong = any(f"{channel} {user}" in there for user in USERS)
                is_wrong = is_wrong or about not in there
                there.discard(about)
            case "member_removed":
                is_wrong = about not in there or channel not in there
                there.discard(about)
            case _:
                is_wrong = False
        if is_wrong:
            wrong.append(line)
    return wrong


@given(st.sets(st.text(min_size=1), min_size=1, max_size=6), st.lists(st.text(), max_size=20))
def test_leaders(processes: set[str], apps: list[str]) -> None:
    """Everyone finds the same leader, and when one goes only its apps change hands."""
    gone = min(processes)
    for app in apps:
        leader = leader_of(app, processes)

        assert leader == leader_of(app, sorted(processes, reverse=True))
        if leader != gone:
            assert leader == leader_of(app, processes - {gone})


def test_nobody_leads_where_nobody_is() -> None:
    """Without a process there is no leader."""
    assert "" == leader_of("app", [])


def test_apps_are_shared_out() -> None:
    """Each of three brokers leads about a third of many apps."""
    processes = ["one", "two", "three"]
    leaders = [leader_of(f"app-{number}", processes) for number in range(3000)]

    assert all(800 < leaders.count(process) < 1200 for process in processes)
