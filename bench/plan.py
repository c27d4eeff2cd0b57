"""Who sits where: members spread evenly over channels, and channels over edges."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from bench.messages import Seat

MAX_MEMBERS = 100
"""Of one channel, where nothing else is set."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a measurement."""

    edges: int
    members: int
    channels: int
    spread: int
    """Edges on which each channel has members: so many watch it."""
    rate: float
    """Joins a second, of all edges together; 0 is as fast as possible."""
    seconds: float
    rounds: int
    output: Path | None

    @property
    def limit(self) -> int:
        """The most users of one channel."""
        return max(MAX_MEMBERS, 2 * -(-self.members // self.channels) + self.edges)

    @property
    def watched_per_edge(self) -> float:
        """Entries that each edge holds in its rosters, on average."""
        return self.members * self.spread / self.edges

    def seats(self, name: str, first: int, last: int) -> list[list[Seat]]:
        """Return the members from `first` up to `last`, by edge."""
        seats: list[list[Seat]] = [[] for _ in range(self.edges)]
        for number in range(first, last):
            channel = number % self.channels
            edge = (channel + number // self.channels % self.spread) % self.edges
            text = f"{name}.{number}"
            seats[edge].append(Seat(text, f"presence-room-{channel}", f"user-{text}"))
        return seats

    @property
    def openers(self) -> int:
        """Members until each channel has one on each of its edges."""
        return min(self.members, self.channels * self.spread)

    def as_dict(self) -> dict[str, object]:
        """Return the parameters, for the file."""
        return {name: str(value) for name, value in dataclasses.asdict(self).items()}
