"""A presence channel's members as pusher-js keeps them, and what must not happen to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One member event, and when it came: `change` is `added` or `removed`."""

    at: float
    channel: str
    change: str
    user_id: str


class Roster:
    """The members that one client knows of one channel, from its subscription on.

    Each method returns what is wrong with what it was told, empty if nothing is.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        """Begin with nobody; lenient where an earlier subscription's events may still come."""
        self.members: dict[str, Any] = {}
        self.count = 0
        # Whether the subscription has succeeded.
        self.known = False
        self.lenient = lenient

    @property
    def ids(self) -> set[str]:
        """Who is there."""
        return set(self.members)

    def begin(self, presence: Mapping[str, Any], me: str) -> str:
        """Take what came with the subscription's success."""
        twice = self.known and not self.lenient
        self.known = True
        self.members = dict(presence["hash"])
        self.count = presence["count"]
        ids = presence["ids"]
        if twice:
            return "a second roster"
        if sorted(ids) != sorted(self.members) or self.count != len(ids):
            return f"a roster at odds with itself: {presence}"
        return "" if me in self.members else f"a roster without oneself, {me}: {ids}"

    def add(self, user_id: str, info: object) -> str:
        """Take an added member."""
        wrong = self._judge(user_id, present=False)
        if user_id not in self.members:
            self.count += 1
        self.members[user_id] = info
        return wrong

    def remove(self, user_id: str) -> str:
        """Take a removed member."""
        wrong = self._judge(user_id, present=True)
        if user_id in self.members:
            self.count -= 1
            del self.members[user_id]
        return wrong

    def _judge(self, user_id: str, *, present: bool) -> str:
        change = "removed" if present else "added"
        if not self.known:
            return "" if self.lenient else f"{user_id} {change} before the roster came"
        if present == (user_id in self.members):
            return ""
        return f"{user_id} {change} twice"
