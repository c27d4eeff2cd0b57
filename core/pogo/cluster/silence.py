"""Who has stood still for too long, judged only by a clock that can be trusted.

The clock of an observer runs while its own beats come back in time, in the same feed as everyone
else's. If one is late, be it that the registry was away or that the observer itself was stopped,
then everybody gets the whole time again. So a node is never taken for dead because of an outage
that it shares with the observer.
"""

from collections.abc import Iterable


class Silence:
    """How long each node has not been heard of. Times are seconds of any one clock."""

    def __init__(self, *, beat: float, limit: float) -> None:
        """Expect a beat every `beat` seconds, and none for `limit` seconds of a dead node."""
        self._late = beat * 1.75
        self._limit = limit
        # When each node was last heard of, and since when the own beats have come in time.
        self._heard: dict[str, float] = {}
        self._unbroken_since: float | None = None
        self._own_beat = 0.0

    @property
    def unbroken_since(self) -> float | None:
        """Since when the own beats have come back in time; `None` while they do not."""
        return self._unbroken_since

    def heard(self, node: str, now: float) -> None:
        """Take a beat of another node."""
        self._heard[node] = now

    def forget(self, node: str) -> None:
        """Watch a node no more."""
        self._heard.pop(node, None)

    def broken(self) -> None:
        """Trust nothing until the next own beats: the feed was cut."""
        self._unbroken_since = None

    def own_beat(self, now: float, nodes: Iterable[str]) -> list[str]:
        """Take the own beat as it comes back; returns which of the nodes are dead."""
        if self._unbroken_since is None or now - self._own_beat > self._late:
            self._unbroken_since = now
        self._own_beat = now
        since = self._unbroken_since
        return [
            node
            for node in nodes
            if now - max(self._heard.setdefault(node, now), since) >= self._limit
        ]
