"""Whether this edge can serve, and what keeps it from that."""


class Health:
    """The reasons, if any, why an edge should not get new clients."""

    def __init__(self) -> None:
        self.draining = False
        # Why the bus and the registry are away; empty while they are there.
        self.bus_down = "not connected yet"
        self.registry_down = "not connected yet"

    @property
    def reason(self) -> str:
        """Why it cannot serve; empty if it can."""
        if self.draining:
            return "draining: the edge is shutting down"
        down = {"bus": self.bus_down, "registry": self.registry_down}
        return "; ".join(f"the {what} is down: {why}" for what, why in down.items() if why)
