"""Whether this edge can serve, and what keeps it from that."""


class Health:
    """The reasons, if any, why an edge should not get new clients."""

    def __init__(self) -> None:
        self.draining = False
        # Why the bus is away; empty while it is there.
        self.bus_down = "not connected yet"

    @property
    def reason(self) -> str:
        """Why it cannot serve; empty if it can."""
        if self.draining:
            return "draining: the edge is shutting down"
        if self.bus_down:
            return f"the bus is down: {self.bus_down}"
        return ""
