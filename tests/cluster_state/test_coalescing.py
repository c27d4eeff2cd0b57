import asyncio
import gc

import pytest

from pogo.bus import BusUnavailableError
from pogo.cluster.coalescing import Coalescing
from pogo.cluster.questions import Answers
from pogo.rpc.v1.cluster_pb2 import ConnectionsQuestion, Question, UsersQuestion


class Asked:
    """Takes questions, and answers them when told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.questions: list[Question] = []
        self.released = asyncio.Event()
        self._error = error

    async def ask(self, question: Question) -> Answers:
        """Wait for the release; write into the question as whoever asks does."""
        self.questions.append(question)
        question.id = bytes([len(self.questions)])
        await self.released.wait()
        if self._error is not None:
            raise self._error
        return Answers()


def connections(app_id: str = "a") -> Question:
    """Write a question."""
    return Question(app_id=app_id, connections=ConnectionsQuestion())


async def test_equal_questions_are_asked_once() -> None:
    """All get the same answer; another app's or another kind of question is another one."""
    asked = Asked()
    coalescing = Coalescing(asked.ask)
    questions = [connections(), connections(), connections("b")]
    questions.append(Question(app_id="a", users=UsersQuestion()))
    tasks = [asyncio.create_task(coalescing.ask(question)) for question in questions]
    await asyncio.sleep(0)
    asked.released.set()
    answers = await asyncio.gather(*tasks)

    assert 3 == len(asked.questions)
    assert answers[0] is answers[1]
    assert answers[0] is not answers[2]


async def test_a_question_that_is_answered_is_asked_again() -> None:
    """Nothing is remembered."""
    asked = Asked()
    asked.released.set()
    coalescing = Coalescing(asked.ask)
    first, second = await coalescing.ask(connections()), await coalescing.ask(connections())

    assert 2 == len(asked.questions)
    assert first is not second


async def test_who_gives_up_leaves_the_answer_to_the_others() -> None:
    """Also whoever asked first."""
    asked = Asked()
    coalescing = Coalescing(asked.ask)
    first, second = (asyncio.create_task(coalescing.ask(connections())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    asked.released.set()

    assert isinstance(await second, Answers)
    assert first.cancelled()
    assert 1 == len(asked.questions)


async def test_an_error_is_everyones() -> None:
    """And nobody's once all have given up: it does not come up as one that was never looked at."""
    asked = Asked(BusUnavailableError("away"))
    coalescing = Coalescing(asked.ask)
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    tasks = [asyncio.create_task(coalescing.ask(connections())) for _ in range(2)]
    alone = asyncio.create_task(coalescing.ask(connections("b")))
    await asyncio.sleep(0)
    alone.cancel()
    asked.released.set()
    for task in tasks:
        with pytest.raises(BusUnavailableError):
            await task
    del tasks, alone
    gc.collect()
    await asyncio.sleep(0)

    assert [] == problems
