"""What can be asked about the cluster: the one interface for everyone who wants to know.

Every result says whether it is complete: whether all live edges have answered, and the registry
could tell which those are. What is not complete is a lower bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pogo.cluster.coalescing import Coalescing
from pogo.cluster.questions import Answers, Edges
from pogo.rpc.v1.cluster_pb2 import (
    ChannelsQuestion,
    ConnectionsQuestion,
    MembersQuestion,
    Question,
    TerminateQuestion,
    UsersQuestion,
)


@dataclass(frozen=True, slots=True)
class ChannelCount:
    """How many are on one channel, in the whole cluster."""

    subscriptions: int
    """Connections that are subscribed."""
    users: int
    """Different users, on presence channels."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels that have subscribers."""

    by_name: dict[str, ChannelCount]
    complete: bool


@dataclass(frozen=True, slots=True)
class Ids:
    """Users, each once."""

    ids: frozenset[str]
    complete: bool


@dataclass(frozen=True, slots=True)
class Count:
    """A number of connections."""

    count: int
    complete: bool


class ClusterQueries:
    """Asks the edges of the cluster.

    Every method takes a second at the most, and raises `BusError` where the bus does not take the
    question, or `TooManyQuestionsError`. Who asks what somebody else is being answered gets the
    same answer, which may be as old as that question: a second.
    """

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._coalescing = Coalescing(edges.ask)

    async def channels(self, app_id: str, prefix: str = "") -> Channels:
        """Tell which channels of an app are occupied; their names begin with `prefix`."""
        return await self._channels(app_id, ChannelsQuestion(prefix=prefix))

    async def channel(self, app_id: str, name: str) -> tuple[ChannelCount, bool]:
        """Count one channel, which may have nobody; also tells whether that is complete."""
        found = await self._channels(app_id, ChannelsQuestion(name=name))
        return found.by_name.get(name, ChannelCount(0, 0)), found.complete

    async def named(self, app_id: str, names: Iterable[str]) -> Channels:
        """Count these channels; those that have nobody are not in the answer."""
        wanted = sorted(set(names))
        found = await self._channels(app_id, ChannelsQuestion(names=wanted))
        # An edge that does not know of `names` tells of all of its channels.
        by_name = {name: found.by_name[name] for name in wanted if name in found.by_name}
        return Channels(by_name, found.complete)

    async def members(self, app_id: str, channel: str) -> Ids:
        """Tell who is present on a presence channel."""
        question = Question(app_id=app_id, members=MembersQuestion(channel=channel))
        return _ids(await self._coalescing.ask(question))

    async def users(self, app_id: str) -> Ids:
        """Tell who is signed in."""
        return _ids(await self._coalescing.ask(Question(app_id=app_id, users=UsersQuestion())))

    async def connections(self, app_id: str) -> Count:
        """Count the connections of an app."""
        question = Question(app_id=app_id, connections=ConnectionsQuestion())
        return _count(await self._coalescing.ask(question))

    async def terminate(self, app_id: str, user_id: str) -> Count:
        """Close all connections of a signed-in user; returns how many were closed."""
        question = Question(app_id=app_id, terminate=TerminateQuestion(user_id=user_id))
        return _count(await self._edges.ask(question))

    async def _channels(self, app_id: str, ask: ChannelsQuestion) -> Channels:
        answers = await self._coalescing.ask(Question(app_id=app_id, channels=ask))
        by_name: dict[str, ChannelCount] = {}
        for part in answers.parts:
            for state in part.channels:
                known = by_name.get(state.name, ChannelCount(0, 0))
                by_name[state.name] = ChannelCount(
                    known.subscriptions + state.subscriptions,
                    # Each edge sees all users. One that has only just joined may see fewer.
                    max(known.users, state.users),
                )
        return Channels(by_name, answers.complete)


def _ids(answers: Answers) -> Ids:
    return Ids(frozenset(each for part in answers.parts for each in part.ids), answers.complete)


def _count(answers: Answers) -> Count:
    return Count(sum(part.count for part in answers.parts), answers.complete)
