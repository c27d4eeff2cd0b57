"""Whatever happens to three edges and in whatever order, all clients know the truth in the end.

A run makes joins, leaves and new connections at random while edges are killed, restarted, frozen
and cut off, and compares all rosters with a model at each rest. `POGO_CLUSTER_SEED` repeats what a
run did, as far as processes can be told to repeat it; `POGO_CLUSTER_ROUNDS` makes it longer.
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Crowd, all_know
from tests.cluster.members import Member
from tests.cluster.nodes import Node
from tests.cluster.waiting import becomes, eventually

STEPS = 150
"""Steps between two rests."""

PAUSE = 0.1
USERS = 16
CHANNELS = 4
CONNECTIONS = 24
RESTS_WITHIN = 20.0
MAX_FAULTS = 2
"""Edges out of three that something happens to at a time."""


class Run:
    """One run: what is there, what should be known, and what is being done to edges."""

    def __init__(self, cluster: Cluster, crowd: Crowd, seed: int, prefix: str) -> None:
        self._cluster = cluster
        self._crowd = crowd
        self._rng = random.Random(seed)  # noqa: S311 (repeatable)
        self._channels = [f"{prefix}-{number}" for number in range(CHANNELS)]
        self._members: list[Member] = []
        self._faults: dict[Node, asyncio.Task[None]] = {}
        self._bag: list[Callable[[Node, float], Coroutine[None, None, None]]] = []
        # What was done, for whoever has to find out what went wrong.
        self.story: list[str] = []

    async def fill(self) -> None:
        """Connect the first users."""
        for _ in range(CONNECTIONS * 3 // 4):
            await self._connect()

    async def go(self) -> None:
        """Do so many steps."""
        kinds: list[tuple[int, Callable[[], Coroutine[None, None, None]]]] = [
            (45, self._join),
            (35, self._leave),
            (6, self._connect),
            (4, self._disconnect),
            (6, self._harm),
        ]
        weights, steps = [weight for weight, _ in kinds], [step for _, step in kinds]
        for _ in range(STEPS):
            (step,) = self._rng.choices(steps, weights)
            await step()
            await asyncio.sleep(self._rng.uniform(0.0, PAUSE))

    async def rest(self) -> None:
        """Let the edges recover, and see that everyone knows the truth."""
        await asyncio.gather(*self._faults.values())
        self._faults.clear()
        for edge in self._cluster.edges:
            await becomes(200, edge.status, RESTS_WITHIN)
        await eventually(
            lambda: all(member.connected for member in self._members),
            RESTS_WITHIN,
            lambda: [each.user_id for each in self._members if not each.connected],
        )
        for channel in self._channels:
            inside = [member for member in self._members if channel in member.channels]
            await all_know({member.user_id for member in inside}, channel, inside, RESTS_WITHIN)
            # What a subscriber of now is given, at every edge.
            await self._newcomers_know(channel, inside)
        assert [] == self._crowd.violations()

    async def _newcomers_know(self, channel: str, inside: list[Member]) -> None:
        """Have a user who is there join at each edge: nobody is told, and it is told the truth."""
        if not inside:
            return
        user, edges = inside[0].user_id, self._cluster.edges
        late = await self._crowd.connect_each([user] * len(edges), edges)
        for member in late:
            assert {each.user_id for each in inside} == (await member.join(channel)).ids
        await asyncio.gather(*(member.close() for member in late))

    # Steps

    async def _join(self) -> None:
        member, channel = self._some_member(), self._rng.choice(self._channels)
        if member is not None and channel not in member.channels:
            self.story.append(f"{member.user_id} joins {channel}")
            await member.want(channel)

    async def _leave(self) -> None:
        member = self._some_member()
        if member is not None and member.channels:
            channel = self._rng.choice(sorted(member.channels))
            self.story.append(f"{member.user_id} leaves {channel}")
            await member.leave(channel)

    async def _connect(self) -> None:
        whole = [edge for edge in self._cluster.edges if edge not in self._faults]
        user = f"user-{self._rng.randrange(USERS)}"
        if whole and len(self._members) < CONNECTIONS:
            self.story.append(f"{user} connects")
            member = await self._crowd.connect(user, *whole, reconnects=True)
            member.moves_to(*self._cluster.edges)
            self._members.append(member)

    async def _disconnect(self) -> None:
        member = self._some_member()
        if member is not None and len(self._members) > CONNECTIONS // 2:
            self.story.append(f"{member.user_id} disconnects")
            self._members.remove(member)
            await member.close()

    async def _harm(self) -> None:
        """Do something to an edge to which nothing is being done, and undo it later."""
        self._faults = {edge: task for edge, task in self._faults.items() if not task.done()}
        whole = [edge for edge in self._cluster.edges if edge not in self._faults]
        if len(self._faults) < MAX_FAULTS:
            edge = self._rng.choice(whole)
            fault = self._next_fault()
            seconds = self._rng.uniform(0.0, 9.0)
            self.story.append(f"{fault.__name__} {edge.name} for {seconds:.1f} s")
            self._faults[edge] = asyncio.create_task(fault(edge, seconds))

    # What is done to edges

    def _next_fault(self) -> Callable[[Node, float], Coroutine[None, None, None]]:
        """Choose at random, and each as often as the others."""
        if not self._bag:
            self._bag = [self._kill, self._restart, self._cut, self._freeze]
            self._rng.shuffle(self._bag)
        return self._bag.pop()

    async def _kill(self, edge: Node, seconds: float) -> None:
        edge.kill()
        await asyncio.sleep(seconds)
        await edge.start()

    async def _restart(self, edge: Node, seconds: float) -> None:
        del seconds
        edge.terminate()
        await edge.ended()
        await edge.start()

    async def _cut(self, edge: Node, seconds: float) -> None:
        edge.cable.cut()
        await asyncio.sleep(seconds)
        edge.cable.mend()

    async def _freeze(self, edge: Node, seconds: float) -> None:
        edge.freeze()
        await asyncio.sleep(seconds)
        edge.thaw()

    def _some_member(self) -> Member | None:
        return self._rng.choice(self._members) if self._members else None


@pytest.mark.timeout(600)
async def test_everyone_knows_the_truth(cluster: Cluster, crowd: Crowd, channel: str) -> None:
    """After hundreds of random steps all rosters are right, and no rule was broken on the way."""
    seed = int(os.environ.get("POGO_CLUSTER_SEED") or random.SystemRandom().randrange(2**32))
    rounds = int(os.environ.get("POGO_CLUSTER_ROUNDS") or 2)
    print(f"\nPOGO_CLUSTER_SEED={seed}")  # noqa: T201 (to run it again)
    run = Run(cluster, crowd, seed, channel)
    try:
        await run.fill()
        for _ in range(rounds):
            await run.go()
            await run.rest()
    finally:
        print("\n".join(run.story))  # noqa: T201 (shown where the test fails)
