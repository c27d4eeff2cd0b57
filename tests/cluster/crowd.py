"""All the members of one test."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from tests.cluster.members import Member
from tests.cluster.nodes import Node
from tests.cluster.waiting import eventually
from tests.e2e.application import Application


class Crowd:
    """Makes members, and compares what they know."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.members: list[Member] = []

    async def connect(
        self,
        user: str | int,
        *edges: Node,
        reconnects: bool = False,
        info: object = None,
    ) -> Member:
        """Connect one more member, to any of these edges."""
        info = {"name": str(user).title()} if info is None else info
        member = Member(self._application, edges, user, reconnects=reconnects, info=info)
        self.members.append(member)
        await member.connect()
        return member

    async def connect_each(self, users: Sequence[str | int], edges: Sequence[Node]) -> list[Member]:
        """Connect a member to each edge."""
        pairs = zip(users, edges, strict=True)
        return list(await asyncio.gather(*(self.connect(user, edge) for user, edge in pairs)))

    async def close(self) -> None:
        """Disconnect all of them."""
        await asyncio.gather(*(member.close() for member in self.members))

    def violations(self) -> list[str]:
        """Return what must not have happened, of anyone."""
        return [wrong for member in self.members for wrong in member.violations]


async def join_all(channel: str, members: Sequence[Member]) -> None:
    """Have members join a channel at once, and wait until all of them have."""
    await asyncio.gather(*(member.join(channel) for member in members))


async def all_know(
    expected: set[str], channel: str, members: Sequence[Member], within: float = 5.0
) -> None:
    """Wait until every one of these members knows exactly these users on a channel."""

    def wrong() -> list[str]:
        return [
            f"{member.user_id} knows {_difference(expected, member.ids(channel))}"
            for member in members
            if member.ids(channel) != expected
        ]

    await eventually(lambda: not wrong(), within, wrong)


async def fence(
    crowd: Crowd, channel: str, edge: Node, members: Sequence[Member], within: float = 5.0
) -> None:
    """Have somebody come and go: when all have seen it, nothing from before is on its way."""
    user = f"fence-{uuid4().hex[:6]}"
    passer = await crowd.connect(user, edge)
    await passer.join(channel)
    for member in members:
        await _has_seen(member, channel, user, ["added"], within)
    await passer.close()
    for member in members:
        await _has_seen(member, channel, user, ["added", "removed"], within)


async def _has_seen(
    member: Member, channel: str, user: str, changes: list[str], within: float
) -> None:
    await eventually(
        lambda: changes == member.changes(channel, user),
        within,
        lambda: f"{member.user_id} saw {member.changes(channel, user)} of {user}, not {changes}",
    )


def _difference(expected: set[str], actual: set[str] | None) -> str:
    if actual is None:
        return "nothing"
    return f"too many {sorted(actual - expected)} and too few {sorted(expected - actual)}"
