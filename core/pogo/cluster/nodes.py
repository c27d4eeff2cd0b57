"""The nodes of the cluster, as their keys in the registry tell.

A node writes one key and rewrites it at each beat. It lives from the key's first appearance until
the key is removed: by itself when it stops, or by another node when it stood still for too long. A
name that was removed never lives again, so whoever was taken for dead comes back under a new one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from pogo.registry import Change, Entry, Key


class NodeState(msgspec.Struct, frozen=True):
    """What a node says of itself."""

    process: str
    """The process, which stays the same when it comes back under a new name."""
    ready: bool = False
    """Whether all it has to say stands in the registry."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node as its key stands."""

    name: str
    """The fourth token of every key that it writes."""
    role: str
    key: str
    revision: int
    state: NodeState


_STATE = msgspec.json.Decoder(NodeState)
_UNKNOWN = NodeState("")


class Nodes:
    """All live nodes, by name: a pure function of the keys."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._nodes))

    def get(self, name: str) -> Node | None:
        """Return a node, if it lives."""
        return self._nodes.get(name)

    def all(self) -> list[Node]:
        """Return all live nodes."""
        return list(self._nodes.values())

    def of_role(self, role: str) -> list[Node]:
        """Return the live nodes of a role."""
        return [node for node in self._nodes.values() if node.role == role]

    def reset(self, entries: Sequence[Entry]) -> tuple[list[str], list[str]]:
        """Take all keys; returns the names of those that came and of those that went."""
        nodes = (node_of(entry.key, entry.value, entry.revision) for entry in entries)
        known, self._nodes = self._nodes, {node.name: node for node in nodes}
        came = [name for name in self._nodes if name not in known]
        return came, [name for name in known if name not in self._nodes]

    def apply(self, change: Change) -> tuple[list[str], list[str]]:
        """Take one key; returns the same."""
        name = Key.parse(change.key).owner
        if change.value is None:
            went = [] if self._nodes.pop(name, None) is None else [name]
            return [], went
        came = [] if name in self._nodes else [name]
        self._nodes[name] = node_of(change.key, change.value, change.revision)
        return came, []


def node_of(key: str, value: bytes, revision: int) -> Node:
    """Read a node's key; a state that a newer version wrote is unknown, and the node lives."""
    parsed = Key.parse(key)
    try:
        state = _STATE.decode(value)
    except msgspec.DecodeError:
        state = _UNKNOWN
    return Node(parsed.owner, parsed.topic.rpartition(".")[2], key, revision, state)
