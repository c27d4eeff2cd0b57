"""What one client was told, and what it makes of it."""

import time
from dataclasses import dataclass
from typing import Any

from tests.cluster.rosters import Roster, Seen


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection's end: when, and with which close code."""

    at: float
    code: int


class Witness:
    """Keeps a record, a roster of each presence channel, and a list of what must not have been."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.rosters: dict[str, Roster] = {}
        self.seen: list[Seen] = []
        # Other events, with their channel and data.
        self.events: list[tuple[str, str, Any]] = []
        # When connections were established, and how they ended.
        self.handshakes: list[float] = []
        self.closes: list[Closed] = []
        # When subscriptions succeeded.
        self.joins: list[float] = []
        # The data of `pusher:error`.
        self.errors: list[dict[str, Any]] = []
        self.violations: list[str] = []

    # What it knows

    def ids(self, channel: str) -> set[str] | None:
        """Return who is on a channel, as far as it knows; `None` while it is not subscribed."""
        roster = self.rosters.get(channel)
        return roster.ids if roster is not None and roster.known else None

    def changes(self, channel: str, user_id: str, since: float = 0.0) -> list[str]:
        """Name the changes of one user that it was told of, in their order."""
        return [
            each.change
            for each in self.seen
            if (each.channel, each.user_id) == (channel, user_id) and each.at >= since
        ]

    def all_changes(self, channel: str, since: float = 0.0) -> list[str]:
        """Name all changes on a channel, in their order."""
        return [
            f"{each.user_id} {each.change}"
            for each in self.seen
            if each.channel == channel and each.at >= since
        ]

    def heard(self, channel: str, event: str) -> list[Any]:
        """Return the data of other events on a channel, in their order."""
        return [data for where, name, data in self.events if (where, name) == (channel, event)]

    def gaps(self) -> list[tuple[float, float]]:
        """Tell from when to when it was away: between a close and the next subscription."""
        return [
            (closed.at, next((at for at in self.joins if at > closed.at), float("inf")))
            for closed in self.closes
        ]

    # What it is told

    def joined(self, channel: str, data: dict[str, Any]) -> None:
        """Take a subscription's success."""
        now = time.monotonic()
        self.joins.append(now)
        roster = self.rosters.get(channel)
        if roster is not None and "presence" in data:
            self._judge(channel, roster.begin(data["presence"], self.user_id))
        elif roster is not None:
            roster.known = True

    def member_changed(self, channel: str, change: str, data: dict[str, Any]) -> None:
        """Take a member that was `added` or `removed`."""
        roster = self.rosters.get(channel)
        if roster is None:
            return
        user_id = data["user_id"]
        self.seen.append(Seen(time.monotonic(), channel, change, user_id))
        if change == "added":
            self._judge(channel, roster.add(user_id, data.get("user_info")))
        else:
            self._judge(channel, roster.remove(user_id))

    def closed(self, code: int) -> None:
        """Take the end of the connection: what it knew counts no more."""
        self.closes.append(Closed(time.monotonic(), code))
        self.rosters = {channel: Roster() for channel in self.rosters}

    def _judge(self, channel: str, wrong: str) -> None:
        if wrong:
            self.violations.append(f"{self.user_id} on {channel}: {wrong}")
