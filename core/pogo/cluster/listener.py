"""What a process is told of the cluster."""


class Listener:
    """Whoever follows the cluster: takes what it wants to know. Must not raise and must not block.

    A node that goes is told before the ones that come.
    """

    def node_up(self, name: str) -> None:
        """Take that a node lives."""

    def node_down(self, name: str) -> None:
        """Take that it does not live any more."""

    def renamed(self) -> None:
        """Take that this process has a new name, under which nothing is written yet."""

    def settled(self) -> None:
        """Take that the cluster is now as it seems."""
