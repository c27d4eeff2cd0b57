"""Whether anyone is there to deliver to, as the cluster tells it."""

from pogo.cluster import EDGE, Listener, Membership


class LiveEdges(Listener):
    """Follows the edges of the cluster.

    In doubt there are edges: while the registry is away, and until no beat of any edge has been
    heard, in an unbroken view, for as long as a node may be silent.
    """

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._edges: set[str] = set()
        membership.add_listener(self)

    def __len__(self) -> int:
        return len(self._edges)

    def none_alive(self) -> bool:
        """Whether it is certain that no edge is alive."""
        return (
            not self._edges
            and self._membership.silent_for(EDGE) >= self._membership.timing.dead_after
        )

    def node_up(self, name: str) -> None:
        """Take a node that lives."""
        node = self._membership.nodes.get(name)
        if node is not None and node.role == EDGE:
            self._edges.add(name)

    def node_down(self, name: str) -> None:
        """Take one that does not live any more."""
        self._edges.discard(name)
