from pogo.cluster import BROKER, EDGE
from pogo.cluster.nodes import Node, Nodes, NodeState, node_of
from pogo.registry import Change, Entry
from tests.cluster_state.helpers import node_key

VALUE = b'{"process":"host-1","ready":true}'


def entry(name: str, revision: int) -> Entry:
    """Make a node's entry."""
    return Entry(node_key(name), VALUE, revision)


def test_a_key_names_the_node() -> None:
    """Name and role come from the key, the rest from its value."""
    assert Node("a-1", BROKER, node_key("a-1", BROKER), 7, NodeState("host-1", ready=True)) == (
        node_of(node_key("a-1", BROKER), VALUE, 7)
    )


def test_a_value_that_cannot_be_read() -> None:
    """A node of another version lives, and is not ready."""
    for value in (b"", b"[1]", b'{"process":1}', b"\xff"):
        assert NodeState("") == node_of(node_key("a-1"), value, 7).state


def test_a_value_with_more_in_it() -> None:
    """What a newer version says beside the rest does not matter."""
    value = b'{"process":"host-1","ready":true,"more":1}'

    assert NodeState("host-1", ready=True) == node_of(node_key("a-1"), value, 7).state


def test_nodes_come_once() -> None:
    """The first beat brings a node, the others its revision."""
    nodes = Nodes()

    assert (["a-1"], []) == nodes.apply(Change(node_key("a-1"), VALUE, 1))
    assert ([], []) == nodes.apply(Change(node_key("a-1"), VALUE, 2))
    node = nodes.get("a-1")
    assert node is not None
    assert 2 == node.revision
    assert "a-1" in nodes


def test_nodes_go_once() -> None:
    """The removal of a node that is not there is nothing new."""
    nodes = Nodes()
    nodes.apply(Change(node_key("a-1"), VALUE, 1))

    assert ([], ["a-1"]) == nodes.apply(Change(node_key("a-1"), None, 2))
    assert ([], []) == nodes.apply(Change(node_key("a-1"), None, 3))
    assert [] == list(nodes)
    assert nodes.get("a-1") is None


def test_all_nodes_at_once() -> None:
    """A snapshot tells who came and who went since the last one."""
    nodes = Nodes()

    assert (["a-1", "b-1"], []) == nodes.reset([entry("a-1", 1), entry("b-1", 2)])
    assert (["c-1"], ["a-1"]) == nodes.reset([entry("b-1", 3), entry("c-1", 4)])
    assert ["b-1", "c-1"] == list(nodes)


def test_roles_are_apart() -> None:
    """Nodes are found by their role."""
    nodes = Nodes()
    nodes.apply(Change(node_key("a-1", EDGE), VALUE, 1))
    nodes.apply(Change(node_key("b-1", BROKER), VALUE, 2))

    assert ["a-1"] == [node.name for node in nodes.of_role(EDGE)]
    assert ["b-1"] == [node.name for node in nodes.of_role(BROKER)]


def test_nodes_may_go_while_they_are_gone_through() -> None:
    """Whoever goes through all nodes may remove some."""
    nodes = Nodes()
    nodes.reset([entry("a-1", 1), entry("b-1", 2)])
    for name in nodes:
        nodes.apply(Change(node_key(name), None, 3))

    assert [] == list(nodes)
