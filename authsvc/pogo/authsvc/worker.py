"""The PHP worker as the service sees it: asked by few at a time, left alone when it fails.

Everything here keeps requests from piling up on a worker that is slow or gone:

- So many are with the worker at a time as it has connections; the others wait in order.
- Who would not be answered in time is refused at once: because too many wait, or because the
  latest requests have taken so long that the wait would be over the limit.
- Who has waited for the whole time gets an error. The worker goes on with the request, so its
  connection stays taken until it is done: a new one would only wait behind it.
- After failures in a row nobody is passed on for a while (`pogo.authsvc.breaker`).
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
from pogo.authsvc.upstream import Upstream, WorkerAnswer, WorkerRequest
from pogo.telemetry import get_logger

ABANDON_AFTER = 30.0
"""Seconds after which a connection is closed on which the worker has not answered."""

_WEIGHT = 0.1
"""How much one request counts in the average of how long they take."""

_SERVER_ERROR = 500
_GATEWAY_ERRORS = (502, 503, 504)
"""What a web server says of a worker that is gone. An application's own error, 500, is another
thing: who could provoke one would else shut everybody out."""

_NO_SCRIPT = "Primary script unknown"
"""What php-fpm complains of where `auth_script` is not there. It answers 404, as if it were the
application's."""

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


class Worker:
    """Asks an upstream within limits. It belongs to one event loop."""

    def __init__(self, upstream: Upstream, limits: WorkerLimits, metrics: AuthMetrics) -> None:
        self._upstream = upstream
        self._limits = limits
        self._metrics = metrics
        self._breaker = CircuitBreaker(
            limits.breaker_failures, limits.breaker_wait, changed=self._circuit_changed
        )
        self._free = asyncio.Semaphore(limits.connections)
        self._tasks: set[asyncio.Task[WorkerAnswer]] = set()
        self._waiting = 0
        # How long the latest requests took, in seconds.
        self._average = 0.0
        metrics.watch(in_flight=lambda: self.in_flight, circuit=lambda: self.circuit)

    @property
    def in_flight(self) -> int:
        """Requests that wait or are with the worker, also those that nobody waits for any more."""
        return self._waiting + len(self._tasks)

    @property
    def circuit(self) -> Circuit:
        """The state of the circuit breaker."""
        return self._breaker.state

    async def ask(self, request: WorkerRequest) -> WorkerAnswer:
        """Pass a request on.

        Raises:
            AuthError: It was not answered; the worker's own 4xx are answers.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._check_load()
        wait = self._breaker.admit(began)
        if wait:
            raise CircuitOpenError(wait)
        deadline = began + self._limits.timeout
        try:
            await self._take_turn(deadline)
        except BaseException:
            self._breaker.abandoned(loop.time())
            raise
        task = loop.create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        try:
            await asyncio.wait([task], timeout=deadline - loop.time())
        except asyncio.CancelledError:
            # The caller went away: nobody judges the answer, so somebody else is to probe.
            self._breaker.abandoned(loop.time())
            raise
        if not task.done():
            self._breaker.failed(loop.time())
            raise WorkerTimeoutError(f"no answer within {self._limits.timeout:g} s")
        return self._judge(task)

    async def close(self) -> None:
        """Give up what is under way, and close the connections. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._upstream.close()

    def _check_load(self) -> None:
        """Refuse who would not be answered in time.

        Raises:
            ShedError: There are too many already.
        """
        limits = self._limits
        if self.in_flight >= limits.max_concurrent:
            raise ShedError(1.0)
        ahead = self.in_flight + 1 - limits.connections
        if ahead > 0:
            expected = self._average * (1 + ahead / limits.connections)
            if expected > limits.timeout:
                raise ShedError(expected - limits.timeout)

    async def _take_turn(self, deadline: float) -> None:
        """Wait for a connection.

        Raises:
            ShedError: None became free in time.
        """
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise ShedError(1.0) from None
        finally:
            self._waiting -= 1

    async def _run(self, request: WorkerRequest) -> WorkerAnswer:
        """Hold a connection until the worker is done with it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(ABANDON_AFTER):
                return await self._upstream.ask(request)
        except TimeoutError:
            raise WorkerTimeoutError(f"no answer within {ABANDON_AFTER:g} s") from None
        finally:
            self._average += _WEIGHT * (loop.time() - began - self._average)

    def _done(self, task: "asyncio.Task[WorkerAnswer]") -> None:
        self._tasks.discard(task)
        self._free.release()
        if task.cancelled():
            return
        error = task.exception()
        # A caller who waits gets it; one who has given up was told of a time-out.
        if error is not None and not isinstance(error, AuthError):
            _log.error("auth request failed", exc_info=error)

    def _judge(self, task: "asyncio.Task[WorkerAnswer]") -> WorkerAnswer:
        """Tell the breaker what became of a request."""
        now = asyncio.get_running_loop().time()
        if task.cancelled():
            raise UnreachableError("the service stops")
        try:
            answer = task.result()
        except InvalidAnswerError:
            self._breaker.succeeded()
            raise
        except BaseException:
            self._breaker.failed(now)
            raise
        if answer.status in _GATEWAY_ERRORS:
            self._breaker.failed(now)
            raise WorkerFailedError(f"it answered {answer.status}{_said(answer)}")
        self._breaker.succeeded()
        if answer.status >= _SERVER_ERROR or _NO_SCRIPT in answer.complaint:
            raise WorkerFailedError(f"it answered {answer.status}{_said(answer)}")
        return answer

    def _circuit_changed(self, circuit: Circuit) -> None:
        match circuit:
            case Circuit.OPEN:
                self._metrics.circuit_opened()
                wait = self._limits.breaker_wait
                _log.error("auth worker fails: it is left alone", seconds=wait)
            case Circuit.PROBING:
                _log.info("auth worker is tried again")
            case Circuit.CLOSED:
                _log.info("auth worker answers again")


def _said(answer: WorkerAnswer) -> str:
    return f": {answer.complaint.strip()}" if answer.complaint.strip() else ""
