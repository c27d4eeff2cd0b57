"""How a worker is asked that is slow, full or gone; what it does is the tests' to say."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from pogo.authsvc import worker as worker_module
from pogo.authsvc.breaker import Circuit
from pogo.authsvc.errors import (
    AuthError,
    CircuitOpenError,
    InvalidAnswerError,
    ShedError,
    UnreachableError,
    WorkerFailedError,
    WorkerTimeoutError,
)
from pogo.authsvc.metrics import AuthMetrics
from pogo.authsvc.upstream import WorkerAnswer, WorkerRequest
from pogo.authsvc.worker import Worker, WorkerLimits
from tests.authsvc.helpers import eventually

OK = WorkerAnswer(200, b"{}")
REQUEST = WorkerRequest("/pogo/auth", b"", (), "", "")
TIMEOUT = 0.2
WAIT = 0.3


class _Upstream:
    """Answers each call when the test says what."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[WorkerAnswer]] = []
        self.under_way = 0
        self.most = 0
        self.closed = False

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Wait for the test's answer."""
        assert request is REQUEST
        self.calls.append(asyncio.get_running_loop().create_future())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.calls[-1]
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        """Note it."""
        self.closed = True


class _Rig:
    """A worker, its upstream, and the callers that wait."""

    def __init__(self, **limits: float) -> None:
        chosen = {"connections": 2, "max_concurrent": 20, "timeout": TIMEOUT, **limits}
        self.upstream = _Upstream()
        self.registry = CollectorRegistry()
        self.worker = Worker(
            self.upstream,
            WorkerLimits(**{"breaker_failures": 3, "breaker_wait": WAIT, **chosen}),  # type: ignore[arg-type]
            AuthMetrics(self.registry),
        )
        self.callers: list[asyncio.Task[WorkerAnswer]] = []

    def call(self) -> "asyncio.Task[WorkerAnswer]":
        """Ask."""
        caller = asyncio.get_running_loop().create_task(self.worker.ask(REQUEST))
        self.callers.append(caller)
        return caller

    async def called(self, count: int) -> None:
        """Ask so often, and wait until all are where they can get."""
        for _ in range(count):
            self.call()
        await settle()

    async def answer(self, outcome: WorkerAnswer | Exception = OK, *, call: int = -1) -> None:
        """Let the upstream answer a call, the last one if nothing else is said."""
        if isinstance(outcome, Exception):
            self.upstream.calls[call].set_exception(outcome)
        else:
            self.upstream.calls[call].set_result(outcome)
        await settle()

    async def fail(self, times: int, why: Exception | None = None) -> None:
        """Ask so often, and let every one fail."""
        for _ in range(times):
            caller = self.call()
            await settle()
            await self.answer(why or UnreachableError("gone"))
            assert isinstance(caller.exception(), AuthError)

    async def warm_up(self, seconds: float = 0.0) -> None:
        """Let it learn that a request takes no time, or how long."""
        for _ in range(10):
            caller = self.call()
            await settle()
            await asyncio.sleep(seconds)
            await self.answer()
            await caller

    def opened(self) -> float:
        """Tell how often the breaker has opened."""
        name = "pogo_websocket_circuit_breaker_open_total"
        return self.registry.get_sample_value(name) or 0.0


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _rig(**limits: float) -> AsyncIterator[_Rig]:
    rig = _Rig(**limits)
    try:
        yield rig
    finally:
        await rig.worker.close()
        for caller in rig.callers:
            caller.cancel()
        await asyncio.gather(*rig.callers, return_exceptions=True)


async def test_waiting_in_order() -> None:
    """Two have a turn at a time; the next is whoever has waited longest."""
    async with _rig() as rig:
        await rig.called(5)
        assert 2 == len(rig.upstream.calls)

        for done in range(5):
            await rig.answer(WorkerAnswer(200, b"%d" % done), call=done)

        assert [b"%d" % n for n in range(5)] == [(await caller).body for caller in rig.callers]
        assert 2 == rig.upstream.most


async def test_too_many() -> None:
    """More than the limit are refused before anything else is done."""
    async with _rig(max_concurrent=3) as rig:
        await rig.called(4)

        assert isinstance(rig.callers[3].exception(), ShedError)
        assert 3 == rig.worker.in_flight


async def test_unknown_pace() -> None:
    """Before anything is known of the worker, it is taken to be slow: a dozen fit into the time."""
    async with _rig(max_concurrent=100, timeout=30) as rig:
        await rig.called(100)

        shed = [caller for caller in rig.callers if caller.done()]
        assert 19 == rig.worker.in_flight
        assert all(isinstance(caller.exception(), ShedError) for caller in shed)


async def test_known_pace() -> None:
    """A worker that is known to be slow is given no more than it can answer."""
    async with _rig(connections=1, timeout=0.4) as rig:
        await rig.warm_up(0.08)
        await rig.called(10)

        assert 3 <= rig.worker.in_flight <= 4
        error = rig.callers[-1].exception()
        assert isinstance(error, ShedError)
        assert 0 < error.retry_after < 1


async def test_first_measure_thins_out_the_queue() -> None:
    """Who was let in by a guess is sent away once it turns out wrong, without more waiting."""
    async with _rig(connections=1, timeout=0.6) as rig:
        await rig.called(9)
        assert 9 == rig.worker.in_flight
        await asyncio.sleep(0.2)
        await rig.answer()

        shed = [caller for caller in rig.callers if caller.done() and caller.exception()]
        assert 6 <= len(shed) <= 7
        assert rig.callers[-len(shed) :] == shed


async def test_hanging_worker_sheds_at_once() -> None:
    """While nothing comes back, waiting gets hopeless, also though nothing has ever been slow."""
    async with _rig() as rig:
        await rig.warm_up()
        await rig.called(2)
        await asyncio.sleep(TIMEOUT)
        await rig.called(1)

        assert isinstance(rig.callers[-1].exception(), ShedError)


async def test_one_hanging_request_shuts_nobody_out() -> None:
    """The other connection serves those who wait."""
    async with _rig() as rig:
        await rig.warm_up()
        await rig.called(1)
        await asyncio.sleep(TIMEOUT + 0.05)
        await rig.called(10)
        for _ in range(10):
            await rig.answer()

        assert [OK] * 10 == [await caller for caller in rig.callers[-10:]]


async def test_time_out_keeps_the_connection() -> None:
    """The caller is told in time; nobody gets the connection before the worker is done with it."""
    async with _rig(connections=1) as rig:
        await rig.warm_up()
        slow = rig.call()
        with pytest.raises(WorkerTimeoutError):
            await slow
        assert 1 == rig.worker.in_flight
        asked = len(rig.upstream.calls)

        await rig.called(1)
        assert asked == len(rig.upstream.calls)
        await rig.answer()

        assert 0 == rig.worker.in_flight
        await rig.called(1)
        await rig.answer()
        assert OK == await rig.callers[-1]


async def test_no_turn_in_time() -> None:
    """Who has waited in vain is shed, which is not the worker's failure."""
    async with _rig(connections=1, breaker_failures=1, timeout=0.3) as rig:
        await rig.warm_up()
        await rig.called(1)
        await asyncio.sleep(0.1)
        await rig.answer()
        await rig.called(1)
        await rig.called(1)
        await asyncio.sleep(0.25)
        await rig.answer()

        assert OK == await rig.callers[-2]
        assert Circuit.CLOSED is rig.worker.circuit


async def test_nobody_gets_a_turn_too_late() -> None:
    """A request that the worker would not answer in time any more is not begun."""
    async with _rig(connections=1, timeout=0.3) as rig:
        await rig.warm_up(0.05)
        await rig.called(2)
        asked = len(rig.upstream.calls)
        await asyncio.sleep(0.27)
        await rig.answer()

        assert isinstance(rig.callers[-1].exception(), ShedError)
        assert asked == len(rig.upstream.calls)


async def test_waiting_is_not_the_workers_fault() -> None:
    """Who times out because it had waited before is no failure of the worker."""
    async with _rig(connections=1, breaker_failures=1, timeout=0.3) as rig:
        await rig.warm_up()
        await rig.called(2)
        await asyncio.sleep(0.15)
        await rig.answer()
        with pytest.raises(WorkerTimeoutError):
            await rig.callers[-1]

        assert Circuit.CLOSED is rig.worker.circuit
        await eventually(lambda: rig.worker.circuit is Circuit.OPEN)


async def test_hanging_worker_opens_the_breaker_whoever_waits() -> None:
    """A worker that answers nobody fails, also where its callers went away before the time-out."""
    async with _rig(breaker_failures=2) as rig:
        await rig.warm_up()
        await rig.called(2)
        for caller in rig.callers:
            caller.cancel()
        await eventually(lambda: rig.worker.circuit is Circuit.OPEN)

        assert 1 == rig.opened()


async def test_late_answer_is_no_success() -> None:
    """A worker that always takes too long is one that fails."""
    async with _rig(connections=1) as rig:
        for _ in range(3):
            await rig.called(1)
            with pytest.raises(WorkerTimeoutError):
                await rig.callers[-1]
            await asyncio.sleep(0.01)
            await rig.answer()

        assert Circuit.OPEN is rig.worker.circuit


async def test_breaker_opens_and_closes() -> None:
    """After failures in a row nobody is passed on; then one is, and if it succeeds, all are."""
    async with _rig() as rig:
        await rig.fail(3)
        asked = len(rig.upstream.calls)
        with pytest.raises(CircuitOpenError):
            await rig.call()
        assert asked == len(rig.upstream.calls)

        await asyncio.sleep(WAIT)
        await rig.called(2)
        assert asked + 1 == len(rig.upstream.calls)
        assert isinstance(rig.callers[-1].exception(), CircuitOpenError)
        await rig.answer()

        assert Circuit.CLOSED is rig.worker.circuit
        assert 1 == rig.opened()


async def test_breaker_empties_the_queue() -> None:
    """Who waits is not passed on to a worker that is to be left alone."""
    async with _rig(connections=1, breaker_failures=1) as rig:
        await rig.called(5)
        await rig.answer(UnreachableError("gone"))

        errors = [caller.exception() for caller in rig.callers[1:]]
        assert all(isinstance(error, CircuitOpenError) for error in errors)
        assert 1 == len(rig.upstream.calls)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_gateway_errors_open_the_breaker(status: int) -> None:
    """A web server says so of a worker that is gone."""
    async with _rig() as rig:
        for _ in range(3):
            await rig.called(1)
            await rig.answer(WorkerAnswer(status, b""))
            assert isinstance(rig.callers[-1].exception(), WorkerFailedError)

        assert Circuit.OPEN is rig.worker.circuit


@pytest.mark.parametrize(
    "outcome",
    [
        WorkerAnswer(200, b""),
        WorkerAnswer(403, b""),
        WorkerAnswer(404, b"", complaint="Primary script unknown"),
        WorkerAnswer(500, b""),
        InvalidAnswerError("no JSON"),
    ],
)
async def test_what_a_client_could_provoke_does_not(outcome: WorkerAnswer | Exception) -> None:
    """A worker that answers is there, whatever it answers."""
    async with _rig() as rig:
        for _ in range(4):
            await rig.called(1)
            await rig.answer(outcome)
        await asyncio.gather(*rig.callers, return_exceptions=True)

        assert Circuit.CLOSED is rig.worker.circuit
        assert 4 == len(rig.upstream.calls)


async def test_complaint_is_told_in_short() -> None:
    """The log says what went wrong, without the arguments in a stack trace."""
    complaint = "PHP Fatal error: it broke\nStack trace:\n#0 index.php(7): login('hidden')\n"
    async with _rig() as rig:
        await rig.called(1)
        await rig.answer(WorkerAnswer(500, b"", complaint=complaint))

        error = rig.callers[0].exception()
        assert isinstance(error, WorkerFailedError)
        assert "it answered 500: PHP Fatal error: it broke" == error.detail


async def test_where_nothing_is_complained_of() -> None:
    """Frameworks write to a log of their own, so the log says to look there."""
    async with _rig() as rig:
        await rig.called(1)
        await rig.answer(WorkerAnswer(500, b""))

        error = rig.callers[0].exception()
        assert isinstance(error, WorkerFailedError)
        assert "it answered 500; what went wrong is in the application's own log" == error.detail


async def test_own_fault_is_not_the_workers(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of this service is said, and does not open the breaker."""
    caplog.set_level(logging.ERROR)
    async with _rig(breaker_failures=1) as rig:
        await rig.called(1)
        await rig.answer(ValueError("a fault"))

        assert isinstance(rig.callers[0].exception(), ValueError)
        assert Circuit.CLOSED is rig.worker.circuit


async def test_cancelled_probe_is_judged_nevertheless() -> None:
    """The worker answers although its caller went away, so all are let through."""
    async with _rig() as rig:
        await rig.fail(3)
        await asyncio.sleep(WAIT)
        await rig.called(1)
        rig.callers[-1].cancel()
        await settle()
        before = rig.worker.circuit
        await rig.answer()

        assert [Circuit.PROBING, Circuit.CLOSED] == [before, rig.worker.circuit]


async def test_probe_cancelled_before_its_turn() -> None:
    """It says nothing, so the next one probes, and nobody thinks that the worker failed again."""
    limits = {"connections": 10, "breaker_failures": 1, "breaker_wait": 0.01}
    async with _rig(timeout=4 * TIMEOUT, **limits) as rig:
        await rig.warm_up()
        await rig.called(1)
        await asyncio.sleep(2 * TIMEOUT)
        await rig.called(9)
        await eventually(lambda: rig.worker.circuit is Circuit.OPEN)
        await asyncio.sleep(0.01)
        await rig.called(1)
        before = rig.worker.circuit
        rig.callers[-1].cancel()
        await settle()
        assert 1 == rig.opened()

        await rig.called(1)
        calls = len(rig.upstream.calls)
        await rig.answer()
        await eventually(lambda: len(rig.upstream.calls) > calls)
        await rig.answer()
        assert OK == await rig.callers[-1]
        assert [Circuit.PROBING, Circuit.CLOSED] == [before, rig.worker.circuit]


async def test_abandons_a_connection_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that never answers has its connection closed some time."""
    monkeypatch.setattr(worker_module, "ABANDON_AFTER", 0.3)
    async with _rig() as rig:
        await rig.called(1)
        await eventually(lambda: rig.worker.in_flight == 0)

        assert 0 == rig.upstream.under_way


async def test_close() -> None:
    """Everything under way ends at once, and nothing begins any more."""
    async with _rig(connections=1) as rig:
        await rig.called(3)
        await rig.worker.close()
        await settle()

        assert all(isinstance(caller.exception(), UnreachableError) for caller in rig.callers)
        assert 1 == len(rig.upstream.calls)
        assert rig.upstream.closed
        with pytest.raises(UnreachableError):
            await rig.call()
        await rig.worker.close()


def _disturb(rig: _Rig, chance: random.Random) -> None:
    """Do something that a client or a worker could do at any moment."""
    under_way = [call for call in rig.upstream.calls if not call.done()]
    match chance.randrange(4):
        case 0 | 1:
            rig.call()
        case 2 if rig.callers:
            chance.choice(rig.callers[-10:]).cancel()
        case 3 if under_way:
            call = chance.choice(under_way)
            if chance.random() < 0.5:
                call.set_result(OK)
            else:
                call.set_exception(UnreachableError("gone"))


@pytest.mark.parametrize("seed", range(4))
async def test_no_turn_is_lost(seed: int) -> None:
    """Whatever is cancelled, fails or is shed at whatever moment, all connections remain."""
    chance = random.Random(seed)  # noqa: S311 - not for cryptography
    async with _rig(connections=3, breaker_failures=10**9, timeout=0.05) as rig:
        for _ in range(500):
            _disturb(rig, chance)
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice((0, 0, 0, 0.001, 0.005)))
            assert rig.upstream.under_way <= 3
        for caller in rig.callers:
            caller.cancel()
        while rig.worker.in_flight:
            for call in rig.upstream.calls:
                if not call.done():
                    call.set_result(OK)
            await settle()

        rig.callers.clear()
        await rig.called(3)
        assert 3 == rig.upstream.under_way
