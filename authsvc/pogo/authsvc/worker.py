"""The PHP worker as the service sees it: asked by few at a time, left alone when it fails.

Everything here keeps requests from piling up on a worker that is slow or gone:

- So many are with the worker at a time as it has connections; the others wait in order.
- Who would not be answered in time is refused at once: because too many wait, or because of how
  long the latest requests have taken, and those under way (`pogo.authsvc.pace`). Who waits already
  is sent away as soon as that is known.
- Who has waited for the whole time gets an error. The worker goes on with the request, so its
  connection stays taken until it is done: a new one would only wait behind it.
- After failures in a row nobody is passed on for a while (`pogo.authsvc.breaker`). A worker fails
  that cannot be reached, or has had a request for longer than anybody waits; whether anybody still
  waited for it, and for how long it had waited before, does not matter.
"""

import asyncio
from dataclasses import dataclass

from pogo.authsvc.breaker import Circuit, CircuitBreaker
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
from pogo.authsvc.pace import Pace
from pogo.authsvc.turns import Turns
from pogo.authsvc.upstream import Upstream, WorkerAnswer, WorkerRequest, said_of
from pogo.telemetry import get_logger

ABANDON_AFTER = 30.0
"""Seconds after which a connection is closed on which the worker has not answered."""

_FULL = 0.8
"""The share of the time-out that waiting may be expected to take: no expectation is exact, and who
is let in should be answered."""

_SERVER_ERROR = 500
_GATEWAY_ERRORS = (502, 503, 504)
"""What a web server says of a worker that is gone. An application's own error, 500, is another
thing: who could provoke one would else shut everybody out."""

_AS_IF_REFUSED = (403, 404)
_NO_SCRIPT = ("Primary script unknown", "Unable to open primary script", "Access to the script")
"""What php-fpm complains of where `auth_script` is not there, or may not be run. It answers 404 or
403, as if it were the application's."""

_log = get_logger()


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a worker bears, in requests and seconds."""

    connections: int
    """Requests that are with it at a time."""
    max_concurrent: int
    """Those, and the ones that wait."""
    timeout: float
    """How long a caller waits in all."""
    breaker_failures: int
    breaker_wait: float


@dataclass(slots=True)
class _Trial:
    """A request that is with the worker, as the breaker sees it."""

    term: int
    began: float
    late: asyncio.TimerHandle
    is_late: bool = False


class Worker:
    """Asks an upstream within limits. It belongs to one event loop."""

    def __init__(self, upstream: Upstream, limits: WorkerLimits, metrics: AuthMetrics) -> None:
        self._upstream = upstream
        self._limits = limits
        self._metrics = metrics
        self._breaker = CircuitBreaker(
            limits.breaker_failures, limits.breaker_wait, changed=self._circuit_changed
        )
        self._pace = Pace(limits.connections, limits.timeout)
        self._turns = Turns(limits.connections)
        self._tasks: dict[asyncio.Task[WorkerAnswer], _Trial] = {}
        self._closed = False
        metrics.watch(in_flight=lambda: self.in_flight, circuit=lambda: self.circuit)

    @property
    def in_flight(self) -> int:
        """Requests that wait or are with the worker, also those that nobody waits for any more."""
        return len(self._turns) + len(self._tasks)

    @property
    def circuit(self) -> Circuit:
        """The state of the circuit breaker."""
        return self._breaker.state

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Pass a request on.

        Raises:
            AuthError: It was not answered; the worker's own 4xx are answers.
        """
        if self._closed:
            raise _stopping()
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + self._limits.timeout
        self._check_load(began)
        term = self._breaker.admit(began)
        try:
            await self._turns.take(deadline)
        except BaseException:
            self._breaker.abandoned(term, loop.time())
            raise
        task = self._start(request, term)
        # Where the caller goes away the task goes on, and so does the worker.
        await asyncio.wait([task], timeout=deadline - loop.time())
        if not task.done():
            raise WorkerTimeoutError(f"no answer within {self._limits.timeout:g} s")
        if task.cancelled():
            raise _stopping()
        return checked(task.result())

    async def close(self) -> None:
        """Give up what is under way, and close the connections. Idempotent."""
        self._closed = True
        self._turns.send_away(_stopping)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._upstream.close()

    def _check_load(self, now: float) -> None:
        """Refuse who would not be answered in time.

        Raises:
            ShedError: There are too many already.
        """
        limits = self._limits
        if self.in_flight >= limits.max_concurrent:
            raise ShedError(1.0)
        if self._turns.free:
            return
        self._thin_out(now)
        too_long = self._expected(len(self._turns), now) - _FULL * limits.timeout
        if too_long > 0:
            raise ShedError(too_long)

    def _thin_out(self, now: float) -> None:
        """Send away who waits and would not be answered in time, as it is known now."""
        if not self._turns:
            return
        # Who is let in has time enough: so the last one tells whether anything is otherwise.
        if now + self._expected(len(self._turns) - 1, now) > self._turns.last_deadline:
            self._turns.thin_out(
                lambda place, deadline: now + self._expected(place, now) > deadline
            )

    def _expected(self, place: int, now: float) -> float:
        return self._pace.expected(place, (now - trial.began for trial in self._tasks.values()))

    def _start(self, request: WorkerRequest, term: int) -> "asyncio.Task[WorkerAnswer]":
        loop = asyncio.get_running_loop()
        began = loop.time()
        task = loop.create_task(self._run(request))
        late = loop.call_at(began + self._limits.timeout, self._be_late, task)
        self._tasks[task] = _Trial(term, began, late)
        task.add_done_callback(self._done)
        return task

    async def _run(self, request: WorkerRequest) -> WorkerAnswer:
        """Hold a connection until the worker is done with it."""
        try:
            async with asyncio.timeout(ABANDON_AFTER):
                return await self._upstream.ask(request)
        except TimeoutError:
            raise WorkerTimeoutError(f"no answer within {ABANDON_AFTER:g} s") from None

    def _be_late(self, task: "asyncio.Task[WorkerAnswer]") -> None:
        """Blame the worker for a request that nobody would wait for so long."""
        trial = self._tasks[task]
        trial.is_late = True
        self._breaker.failed(trial.term, asyncio.get_running_loop().time())

    def _done(self, task: "asyncio.Task[WorkerAnswer]") -> None:
        trial = self._tasks.pop(task)
        trial.late.cancel()
        now = asyncio.get_running_loop().time()
        error = None if task.cancelled() else task.exception()
        if not task.cancelled():
            self._judge(trial, now, error if error is not None else task.result())
        if not isinstance(error, UnreachableError):
            self._pace.took(now - trial.began)
        self._turns.give_back(now + self._pace.average)
        self._thin_out(now)

    def _judge(self, trial: _Trial, now: float, outcome: WorkerAnswer | BaseException) -> None:
        """Tell the breaker what became of a request, once."""
        if isinstance(outcome, Exception) and not isinstance(outcome, AuthError):
            _log.error("auth request failed", exc_info=outcome)
        if trial.is_late:
            return
        match outcome:
            case WorkerAnswer(status=status) if status in _GATEWAY_ERRORS:
                self._breaker.failed(trial.term, now)
            case WorkerAnswer() | InvalidAnswerError():
                self._breaker.succeeded(trial.term)
            case AuthError():
                self._breaker.failed(trial.term, now)
            case _:
                # A fault of this service says nothing of the worker.
                self._breaker.abandoned(trial.term, now)

    def _circuit_changed(self, circuit: Circuit) -> None:
        if circuit is Circuit.OPEN:
            wait = self._limits.breaker_wait
            self._metrics.circuit_opened()
            _log.error("auth worker fails: it is left alone", seconds=wait)
            self._turns.send_away(lambda: CircuitOpenError(wait))
        else:
            _log.info("auth worker answers again")


def _stopping() -> UnreachableError:
    return UnreachableError("the service stops")


def checked(answer: WorkerAnswer) -> WorkerAnswer:
    """Return an answer that is the application's own.

    Raises:
        WorkerFailedError: It is a server error.
    """
    said = said_of(answer.complaint)
    if answer.status in _AS_IF_REFUSED and any(text in answer.complaint for text in _NO_SCRIPT):
        raise WorkerFailedError(f"it cannot run auth_script{said}")
    if answer.status >= _SERVER_ERROR:
        said = said or "; what went wrong is in the application's own log"
        raise WorkerFailedError(f"it answered {answer.status}{said}")
    return answer
