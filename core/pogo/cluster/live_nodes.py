"""How many nodes of one role there are."""

from collections.abc import Sized

from pogo.cluster.listener import Listener
from pogo.cluster.membership import Membership


class LiveNodes(Listener, Sized):
    """Follows the live nodes of a role; while the registry is away, they stay as they were."""

    def __init__(self, membership: Membership, role: str) -> None:
        self._membership = membership
        self._role = role
        self._names: set[str] = set()
        membership.add_listener(self)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def sharing(self) -> int:
        """How many share what all of them may do: the one that asks is one of them."""
        return max(1, len(self._names))

    def node_up(self, name: str) -> None:
        """Take a node that lives."""
        node = self._membership.nodes.get(name)
        if node is not None and node.role == self._role:
            self._names.add(name)

    def node_down(self, name: str) -> None:
        """Take one that does not live any more."""
        self._names.discard(name)
