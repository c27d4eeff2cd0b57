"""Presence over any history equals what the final keys say."""

from collections.abc import Callable, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pogo.cluster import LiveFeed
from pogo.pusher.members import Member, encode_member, parse_member
from pogo.pusher.presence import Joined, Roster
from pogo.registry import Change, Entry, Key

TOPIC = "p.app.room"
LIMIT = 2


class RosterView:
    """A roster as a view, and what it has told of each user."""

    def __init__(self) -> None:
        self.roster = Roster(LIMIT)
        self.told: dict[str, list[bool]] = {}

    def reset(self, entries: Sequence[Entry]) -> None:
        """Pass all entries on."""
        self.roster.reset((entry.key, entry.value, entry.revision) for entry in entries)

    def put(self, entry: Entry) -> None:
        """Pass one on."""
        self.roster.put(entry.key, entry.value, entry.revision)

    def removed(self, key: str) -> None:
        """Pass the end of one on."""
        self.roster.remove(key)

    def settle(self) -> None:
        """Note who joined and who left."""
        for step in self.roster.settle():
            joined = isinstance(step, Joined)
            user = step.member.user_id if isinstance(step, Joined) else step.user_id
            self.told.setdefault(user, []).append(joined)


class History:
    """A topic and the nodes that write there, as a feed is told of them."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.view = RosterView()
        self._dead: set[str] = set()
        self._entries: dict[str, Entry] = {}
        self._settled = True
        self._revision = 0
        self._feed = LiveFeed(
            self.view,
            lives=self.alive.__contains__,
            settled=lambda: self._settled,
            stranger=lambda _: None,
        )
        self._feed.snapshot([])

    def up(self, node: str) -> None:
        """Let a node live, unless it has died before."""
        if node not in self._dead | self.alive:
            self.alive.add(node)
            self._feed.node_up(node)

    def down(self, node: str) -> None:
        """Let a node die."""
        if node in self.alive:
            self.alive.remove(node)
            self._dead.add(node)
            self._feed.node_down(node)

    def purge(self, node: str) -> None:
        """Drop what a dead node wrote; nobody is told."""
        if node in self._dead:
            for key in [key for key in self._entries if Key.parse(key).owner == node]:
                del self._entries[key]

    def put(self, node: str, item: str, user: str) -> None:
        """Write an entry; its information is its revision."""
        self._revision += 1
        member = Member(user, msgspec.Raw(b"%d" % self._revision))
        entry = Entry(f"{TOPIC}.{node}.{item}", encode_member(member), self._revision)
        self._entries[entry.key] = entry
        self._feed.changed(Change(entry.key, entry.value, entry.revision))

    def delete(self, node: str, item: str) -> None:
        """Remove an entry, whether there is one or not."""
        self._revision += 1
        key = f"{TOPIC}.{node}.{item}"
        self._entries.pop(key, None)
        self._feed.changed(Change(key, None, self._revision))

    def snapshot(self, *, backwards: bool) -> None:
        """Read everything again, in an order that means nothing."""
        entries = list(self._entries.values())
        self._feed.snapshot(entries[::-1] if backwards else entries)

    def settle(self, *, settled: bool) -> None:
        """See the cluster as it is, or not."""
        self._settled = settled
        if settled:
            self._feed.settle()

    def present(self) -> dict[str, bytes]:
        """Tell from the keys alone who is present, with their information."""
        counted = [e for e in self._entries.values() if Key.parse(e.key).owner in self.alive]
        users: dict[str, bytes] = {}
        for entry in sorted(counted, key=lambda entry: entry.revision):
            member = parse_member(entry.value)
            users.setdefault(member.user_id, bytes(member.user_info))
        return dict(list(users.items())[:LIMIT])


NODES = st.sampled_from(["a", "b", "c"])
ITEMS = st.sampled_from(["1", "2"])
STEPS = st.one_of(
    st.builds(
        lambda *args: lambda history: history.put(*args), NODES, ITEMS, st.sampled_from("xyz")
    ),
    st.builds(lambda *args: lambda history: history.delete(*args), NODES, ITEMS),
    st.builds(lambda node: lambda history: history.up(node), NODES),
    st.builds(lambda node: lambda history: history.down(node), NODES),
    st.builds(lambda node: lambda history: history.purge(node), NODES),
    st.builds(lambda flag: lambda history: history.snapshot(backwards=flag), st.booleans()),
    st.builds(lambda flag: lambda history: history.settle(settled=flag), st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_any_history(steps: Sequence[Callable[[History], None]]) -> None:
    """The roster is a function of the keys, and each user joins and leaves in turn."""
    history = History()
    for step in steps:
        step(history)
    history.settle(settled=True)

    found = history.view.roster.members
    assert history.present() == {user: bytes(each.user_info) for user, each in found.items()}
    for user, told in history.view.told.items():
        assert [index % 2 == 0 for index in range(len(told))] == told
        assert (user in found) == told[-1]
