"""Who is present on a channel, derived from the registry's entries.

An entry stands for one connection; a user is present while they have one. Every node derives the
same roster from the same entries:

- a user's information is that of their entry with the lowest revision;
- of more users than the limit allows, those whose lowest revision is lowest are present;
- whoever found no place is kept out, whatever changes, until `promote`: their entry is about to be
  removed, since their edge refused them. One that stays was let in by an edge that saw it later.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pogo.pusher.members import Member, parse_member


@dataclass(frozen=True, slots=True)
class Joined:
    """A user's first connection appeared."""

    member: Member


@dataclass(frozen=True, slots=True)
class Left:
    """A user's last connection went."""

    user_id: str


Transition = Joined | Left
"""What subscribers are told: each user's alternate, beginning with `Joined`."""


@dataclass(frozen=True, slots=True)
class _Presence:
    """One entry: one connection of one user."""

    revision: int
    member: Member


class Roster:
    """The users present on one channel, and what changed since subscribers were last told."""

    __slots__ = ("_entries", "_kept_out", "_limit", "_members", "_touched", "_users")

    def __init__(self, limit: int) -> None:
        """Begin empty; `limit` is the most users that can be present."""
        self._limit = limit
        # What the registry holds, by key; and by user id, then key.
        self._entries: dict[str, _Presence] = {}
        self._users: dict[str, dict[str, _Presence]] = {}
        # What subscribers have been told, by user id, and whom that may no longer be true of.
        self._members: dict[str, Member] = {}
        self._touched: set[str] = set()
        # Those who found no place.
        self._kept_out: set[str] = set()

    @property
    def members(self) -> dict[str, Member]:
        """The users present, by id, as of the last `settle`. Not to be changed by the caller."""
        return self._members

    def reset(self, entries: Iterable[tuple[str, bytes, int]]) -> None:
        """Take all keys there are, with their values and revisions."""
        self._touched.update(self._members)
        self._entries.clear()
        self._users.clear()
        for key, value, revision in entries:
            self._touched.add(self._put(key, value, revision))

    def put(self, key: str, value: bytes, revision: int) -> None:
        """Take a key, or its new value."""
        crowded = len(self._users) > self._limit
        self._remove(key)
        self._touched.add(self._put(key, value, revision))
        self._touch_all_if(crowded=crowded)

    def remove(self, key: str) -> None:
        """Take that a key is gone."""
        crowded = len(self._users) > self._limit
        self._remove(key)
        self._touch_all_if(crowded=crowded)

    def settle(self) -> list[Transition]:
        """Tell what has changed since the last time: first who left, then who joined."""
        touched, self._touched = self._touched, set()
        return self._difference(touched) if touched else []

    @property
    def keeps_out(self) -> bool:
        """Whether somebody found no place, as of the last `settle`, and may be there still."""
        return bool(self._kept_out)

    def promote(self) -> None:
        """Judge those anew who found no place and are there still."""
        self._touched.update(self._users)
        self._kept_out.clear()

    def user_of(self, key: str) -> str | None:
        """Tell whose entry it is, if it is there."""
        presence = self._entries.get(key)
        return None if presence is None else presence.member.user_id

    def _touch_all_if(self, *, crowded: bool) -> None:
        if crowded or len(self._users) > self._limit:
            # Whoever was kept out may come in now, and the other way round.
            self._touched.update(self._users)

    def _put(self, key: str, value: bytes, revision: int) -> str:
        member = parse_member(value)
        presence = _Presence(revision, member)
        self._entries[key] = presence
        connections = self._users.setdefault(member.user_id, {})
        newest = next(reversed(connections.values()), presence)
        connections[key] = presence
        if newest.revision > revision:
            # Entries come in the order of their revisions, but for those of a snapshot.
            by_age = sorted(connections.items(), key=lambda item: item[1].revision)
            self._users[member.user_id] = dict(by_age)
        return member.user_id

    def _remove(self, key: str) -> None:
        presence = self._entries.pop(key, None)
        if presence is not None:
            user_id = presence.member.user_id
            self._touched.add(user_id)
            connections = self._users[user_id]
            del connections[key]
            if not connections:
                del self._users[user_id]

    def _difference(self, user_ids: Iterable[str]) -> list[Transition]:
        """Bring `members` up to date for these users, and tell what that changed."""
        admitted = self._admitted()
        left: list[Transition] = []
        joined: list[Transition] = []
        for user_id in sorted(user_ids):
            present = user_id in admitted
            if present and user_id not in self._members:
                member = self._first(user_id).member
                self._members[user_id] = member
                joined.append(Joined(member))
            elif present:
                self._members[user_id] = self._first(user_id).member
            elif user_id in self._members:
                del self._members[user_id]
                left.append(Left(user_id))
        return left + joined

    def _admitted(self) -> set[str] | dict[str, dict[str, _Presence]]:
        """Every user, or where there are too many those who came first."""
        self._kept_out.intersection_update(self._users)
        if len(self._users) <= self._limit and not self._kept_out:
            return self._users
        candidates = self._users.keys() - self._kept_out
        by_age = sorted(candidates, key=lambda user_id: self._first(user_id).revision)
        self._kept_out.update(by_age[self._limit :])
        return set(by_age[: self._limit])

    def _first(self, user_id: str) -> _Presence:
        """The entry of a user that speaks for them: entries are kept by age."""
        return next(iter(self._users[user_id].values()))
