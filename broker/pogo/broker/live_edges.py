"""Whether anyone is there to deliver to, as the cluster tells it."""

from pogo.cluster import EDGE, LiveNodes, Membership


class LiveEdges(LiveNodes):
    """Follows the edges of the cluster.

    In doubt there are edges: while the registry is away, and until no beat of any edge has been
    heard, in an unbroken view, for as long as a node may be silent.
    """

    def __init__(self, membership: Membership) -> None:
        super().__init__(membership, EDGE)
        self._membership = membership

    def none_alive(self) -> bool:
        """Whether it is certain that no edge is alive."""
        return (
            not len(self)
            and self._membership.silent_for(EDGE) >= self._membership.timing.dead_after
        )
