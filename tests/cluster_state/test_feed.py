from pogo.cluster import LiveFeed
from pogo.registry import Change, Entry
from tests.cluster_state.helpers import Seen

TOPIC = "p.app.room"


def key(node: str, item: str = "1") -> str:
    """Name a key under the topic."""
    return f"{TOPIC}.{node}.{item}"


class Case:
    """A feed whose nodes and settlement a test decides on."""

    def __init__(self, *nodes: str, settled: bool = True) -> None:
        self.nodes = set(nodes)
        self.settled = settled
        self.strangers: list[str] = []
        self.view = Seen()
        self.feed = LiveFeed(
            self.view,
            lives=self.nodes.__contains__,
            settled=lambda: self.settled,
            stranger=self.strangers.append,
        )
        self.revision = 0
        self.feed.snapshot([])
        self.view.told.clear()

    def put(self, name: str, value: bytes = b"v") -> None:
        """Write an entry."""
        self.revision += 1
        self.feed.changed(Change(name, value, self.revision))

    def delete(self, name: str) -> None:
        """Remove one."""
        self.revision += 1
        self.feed.changed(Change(name, None, self.revision))

    def up(self, node: str) -> None:
        """Let a node live."""
        self.nodes.add(node)
        self.feed.node_up(node)

    def down(self, node: str) -> None:
        """Let it be dead."""
        self.nodes.discard(node)
        self.feed.node_down(node)


def test_entries_of_live_nodes_count() -> None:
    """They are told as they come, change and go."""
    case = Case("a")
    case.put(key("a"))
    case.put(key("a"), b"new")

    assert {key("a"): b"new"} == case.view.counted
    case.delete(key("a"))
    assert [[key("a")], [key("a")], []] == case.view.told


def test_entries_of_unknown_nodes_wait() -> None:
    """They count when their node comes, as they stand then."""
    case = Case()
    case.put(key("a", "1"))
    case.put(key("a", "2"))
    case.put(key("a", "2"), b"new")
    case.put(key("a", "3"))
    case.delete(key("a", "1"))

    assert {} == case.view.counted
    assert [] == case.view.removals
    case.up("a")
    assert {key("a", "2"): b"new", key("a", "3"): b"v"} == case.view.counted
    assert [key("a", "2"), key("a", "3")] == case.view.told[-1]


def test_a_dead_nodes_entries_go() -> None:
    """All that it wrote is gone with it, nobody else's is, and that is told in one go."""
    case = Case("a", "b")
    for name in (key("a", "1"), key("a", "2"), key("b")):
        case.put(name)
    case.view.told.clear()
    case.down("a")

    assert {key("b"): b"v"} == case.view.counted
    assert [[key("b")]] == case.view.told


def test_a_removed_key_is_told_once() -> None:
    """Whether its node dies first or it is removed first, it is gone but once."""
    case = Case("a", "b")
    for node in ("a", "b"):
        case.put(key(node))
    case.down("a")
    case.delete(key("a"))
    case.delete(key("b"))
    case.delete(key("b"))
    case.down("b")

    assert [key("a"), key("b")] == case.view.removals


def test_what_a_dead_node_writes_late() -> None:
    """It does not count."""
    case = Case("a")
    case.down("a")
    case.put(key("a"))

    assert {} == case.view.counted


def test_snapshot_has_what_counts() -> None:
    """Entries of unknown nodes wait there, too, and whoever is missing in it is forgotten."""
    case = Case("a")
    case.put(key("a", "old"))
    case.put(key("b", "old"))
    case.feed.snapshot([Entry(key("a"), b"1", 8), Entry(key("b"), b"2", 9)])

    assert {key("a"): b"1"} == case.view.counted
    case.up("b")
    assert {key("a"): b"1", key("b"): b"2"} == case.view.counted


def test_strangers_are_reported() -> None:
    """A snapshot tells of nodes that wrote and do not live."""
    case = Case("a")
    case.feed.snapshot([Entry(key("a"), b"1", 1), Entry(key("b"), b"2", 2)])

    assert ["b"] == case.strangers


def test_nothing_is_told_while_unsettled() -> None:
    """Everything is taken in, and told in the end."""
    case = Case("a", settled=False)
    case.put(key("a", "1"))
    case.put(key("b"))
    case.up("b")
    case.delete(key("a", "1"))
    case.feed.snapshot([Entry(key("a", "2"), b"1", 9), Entry(key("b"), b"2", 10)])
    case.down("b")

    assert [] == case.view.told
    case.settled = True
    case.feed.settle()
    assert [[key("a", "2")]] == case.view.told


def test_nothing_is_told_before_the_first_snapshot() -> None:
    """A view that knows nothing yet has nothing to say."""
    view = Seen()
    feed = LiveFeed(view, lives=bool, settled=lambda: True, stranger=lambda _: None)
    feed.settle()

    assert [] == view.told
