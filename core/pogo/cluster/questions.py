"""Asking every edge at once, over the bus.

The registry says which edges live, so whoever asks knows whether the answer is complete.
"""

import asyncio
import secrets
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from pogo.bus import Bus, BusUnavailableError, Message, Subscription
from pogo.cluster.membership import EDGE, Membership
from pogo.rpc.v1.cluster_pb2 import Answer, Question
from pogo.telemetry import get_logger

_log = get_logger()

QUESTIONS = "pogo.v1.=.questions"
"""The subject of questions: no app and no channel can have it, since `=` alone encodes nothing."""

ANSWER_TIMEOUT = 1.0
"""Seconds that edges have to answer."""

MAX_OPEN = 256
"""Questions of one process that may wait for their answers at a time."""


class TooManyQuestionsError(Exception):
    """This process waits for the answers to so many questions that it asks no other."""


@dataclass(slots=True)
class Answers:
    """What the edges answered."""

    parts: list[Answer] = field(default_factory=list)
    complete: bool = False
    """Whether every live edge did, while the registry could tell which those are."""


class _Open:
    """A question that waits for answers."""

    __slots__ = ("answers", "done", "missing")

    def __init__(self, missing: set[str]) -> None:
        self.answers = Answers()
        self.missing = missing
        self.done = asyncio.Event()


class Edges:
    """All edges of the cluster, to be asked."""

    def __init__(self, bus: Bus, membership: Membership) -> None:
        self._bus = bus
        self._membership = membership
        self._subject = f"pogo.v1.=.answers.{secrets.token_hex(8)}"
        self._open: dict[bytes, _Open] = {}
        self._subscription: Subscription | None = None

    def start(self) -> None:
        """Be ready to hear answers, by the next `flush` of the bus."""
        self._subscription = self._bus.subscribe(self._subject, self._answered)

    def stop(self) -> None:
        """Hear no more of them. Idempotent."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._bus.unsubscribe(subscription)

    async def ask(self, question: Question, within: float = ANSWER_TIMEOUT) -> Answers:
        """Ask all edges, and wait until all that live have answered, or `within` seconds.

        `question` has the app and what is asked.

        Raises:
            TooManyQuestionsError: Too many wait already.
            BusError: The bus does not take the question, or answers are not heard any more.
        """
        if self._subscription is None:
            raise BusUnavailableError("answers are not heard here")
        if len(self._open) >= MAX_OPEN:
            raise TooManyQuestionsError(f"{MAX_OPEN} questions wait for answers")
        question.id = secrets.token_bytes(8)
        question.reply_subject = self._subject
        expected = {node.state.process for node in self._membership.nodes.of_role(EDGE)}
        is_certain = self._membership.sees_all
        waiting = self._open[question.id] = _Open(expected)
        try:
            [error] = await self._bus.publish([Message(QUESTIONS, question.SerializeToString())])
            if error is not None:
                raise error
            if expected:
                async with asyncio.timeout(within):
                    await waiting.done.wait()
        except TimeoutError:
            pass
        finally:
            del self._open[question.id]
        waiting.answers.complete = is_certain and not waiting.missing
        return waiting.answers

    def _answered(self, payload: bytes) -> None:
        try:
            answer = Answer.FromString(payload)
        except DecodeError:
            _log.warning("a message on the bus is no answer")
            return
        waiting = self._open.get(answer.id)
        if waiting is None:
            return
        parts = waiting.answers.parts
        parts.append(answer)
        if not answer.more:
            # The bus may have lost one, while it reconnected: then the answer stays missing.
            heard = sum(part.more and part.process == answer.process for part in parts)
            if heard < answer.parts:
                return
            waiting.missing.discard(answer.process)
            if not waiting.missing:
                waiting.done.set()
