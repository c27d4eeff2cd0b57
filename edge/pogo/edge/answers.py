"""What this edge answers when the cluster is asked."""

import asyncio
import itertools
import math
from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from pogo.bus import Bus, BusError, Message, Subscription
from pogo.cluster import QUESTIONS
from pogo.edge.hub import Hub
from pogo.rpc.v1.cluster_pb2 import Answer, ChannelsQuestion, ChannelState, Question
from pogo.telemetry import get_logger

_log = get_logger()

_LOG_INTERVAL = 30.0
"""Seconds between two lines about questions that are not answered."""

_PART_ITEMS = 500
"""Items of one part of an answer, after which everything else has its turn. Names of channels have
800 characters at the most, so that a part is half of what NATS takes."""

_MAX_QUESTIONS = 256
"""Questions that wait. One more is not answered, which whoever asks can tell."""


class Answers:
    """Answers questions one after the other, a part in each turn of the event loop."""

    def __init__(self, bus: Bus, hub: Hub, process: str) -> None:
        self._bus = bus
        self._hub = hub
        self._process = process
        self._questions: asyncio.Queue[Question] = asyncio.Queue(_MAX_QUESTIONS)
        self._subscription: Subscription | None = None
        self._logged_at = -math.inf

    def start(self) -> None:
        """Begin to hear questions."""
        self._subscription = self._bus.subscribe(QUESTIONS, self._asked)

    def stop(self) -> None:
        """Hear no more of them. Idempotent."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._bus.unsubscribe(subscription)

    async def run(self) -> None:
        """Answer, for ever."""
        while True:
            question = await self._questions.get()
            try:
                await self._answer(question)
            except BusError as error:
                _log.debug("question not answered", reason=str(error))

    def _asked(self, payload: bytes) -> None:
        try:
            question = Question.FromString(payload)
        except DecodeError:
            _log.warning("a message on the bus is no question")
            return
        try:
            self._questions.put_nowait(question)
        except asyncio.QueueFull:
            now = asyncio.get_running_loop().time()
            if now - self._logged_at >= _LOG_INTERVAL:
                self._logged_at = now
                _log.warning("too many questions wait", limit=_MAX_QUESTIONS)

    async def _answer(self, question: Question) -> None:
        hub, app_id = self._hub, question.app_id
        match question.WhichOneof("ask"):
            case "channels":
                ask = question.channels
                await self._channels(question, _channel_states(hub, app_id, ask))
            case "members":
                await self._ids(question, _members(hub, app_id, question.members.channel))
            case "users":
                await self._ids(question, hub.users.ids(app_id))
            case "connections":
                count = sum(each.app.id == app_id for each in hub.connections)
                self._post(question, Answer(count=count))
            case "terminate":
                closed = hub.users.terminate(app_id, question.terminate.user_id)
                self._post(question, Answer(count=closed))
            case None:
                # A newer version asks what this one does not know: it is missed.
                pass

    async def _channels(self, question: Question, states: Iterator[ChannelState]) -> None:
        parts = 0
        while some := list(itertools.islice(states, _PART_ITEMS)):
            self._post(question, Answer(channels=some, more=True))
            parts += 1
            await asyncio.sleep(0)
        self._post(question, Answer(parts=parts))

    async def _ids(self, question: Question, ids: Sequence[str]) -> None:
        starts = range(0, len(ids), _PART_ITEMS)
        for start in starts:
            self._post(question, Answer(ids=ids[start : start + _PART_ITEMS], more=True))
            await asyncio.sleep(0)
        self._post(question, Answer(parts=len(starts)))

    def _post(self, question: Question, part: Answer) -> None:
        part.id = question.id
        part.process = self._process
        self._bus.post(Message(question.reply_subject, part.SerializeToString()))


def _channel_states(hub: Hub, app_id: str, ask: ChannelsQuestion) -> Iterator[ChannelState]:
    """Go through an app's channels that begin with a prefix, or those with these names."""
    names = [ask.name] if ask.name else ask.names
    if names:
        found = (hub.channels.get(app_id, name) for name in names)
        channels = [channel for channel in found if channel is not None]
    else:
        channels = hub.channels.of_app(app_id)
    for channel in channels:
        if channel.name.startswith(ask.prefix):
            presence = hub.subscriptions.presence(channel)
            users = 0 if presence is None else presence.users
            count = channel.subscriptions
            yield ChannelState(name=channel.name, subscriptions=count, users=users)


def _members(hub: Hub, app_id: str, name: str) -> list[str]:
    """Tell who is on a presence channel, as far as it is known here."""
    channel = hub.channels.get(app_id, name)
    presence = None if channel is None else hub.subscriptions.presence(channel)
    return [] if presence is None else presence.user_ids
