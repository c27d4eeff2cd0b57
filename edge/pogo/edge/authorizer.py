"""Asking the auth service on behalf of clients that sent no signature.

Who may do what is then decided by the headers of the WebSocket handshake: the application knows
its user by the cookies. They are kept for as long as the connection, and never logged.

A connection's questions are asked one after another, so that a page with many channels takes no
more of the application than one with few; as many connections as the settings allow have one under
way. The other questions wait here, each once, and no more of a connection than it may have
subscriptions; a client that asks for more is refused. Where the auth service sends questions away,
since too many ask at a time, they are asked again: clients whose edge was restarted come all at
once, and those that are refused do not try again.
"""

import asyncio
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from prometheus_client import Counter

from pogo.edge.connection import Connection
from pogo.edge.metrics import EdgeMetrics
from pogo.pusher.events import AuthenticationNeeded, AuthorizationNeeded
from pogo.rpc.v1.auth_pb2 import (
    AuthenticateUserReply,
    AuthenticateUserRequest,
    AuthorizeChannelReply,
    AuthorizeChannelRequest,
    Header,
)
from pogo.telemetry import get_logger

Question = AuthorizationNeeded | AuthenticationNeeded

KEPT = frozenset({"authorization", "cookie", "host", "origin", "user-agent"})
"""The headers of a handshake that are of use to the application, beside `x-forwarded-*`."""

BUSY_WITHIN = 15.0
"""Seconds for which a question is asked again while too many ask. It keeps its turn, so that the
auth service is not asked by more than the settings allow."""

BUSY_PAUSE = 0.1
MAX_BUSY_PAUSE = 1.0
"""Seconds until the second try, and at the most between later ones: each pause is twice as long as
the one before, less up to a half of it by chance."""

_FORWARDED = "x-forwarded-"
_NO_ANSWER = "the application cannot be asked at present"

_log = get_logger()


class AuthorizerError(Exception):
    """The application could not be asked. The message is for the log.

    `outage` says that nobody can be asked about at present; else it was too much, or this question.
    """

    def __init__(self, message: str, *, outage: bool) -> None:
        super().__init__(message)
        self.outage = outage


class AuthorizerBusyError(AuthorizerError):
    """Too many ask at a time: the question was not asked, and may be in a moment."""

    def __init__(self, message: str) -> None:
        super().__init__(message, outage=False)


class AuthService(Protocol):
    """The auth service, wherever it is."""

    async def authorize_channel(self, request: AuthorizeChannelRequest) -> AuthorizeChannelReply:
        """Have a subscription signed.

        Raises:
            AuthorizerError: It could not be decided.
        """

    async def authenticate_user(self, request: AuthenticateUserRequest) -> AuthenticateUserReply:
        """Have a user signed.

        Raises:
            AuthorizerError: It could not be decided.
        """


@dataclass(frozen=True, slots=True)
class _Client:
    """What is known of a client from its handshake."""

    headers: tuple[tuple[str, str], ...]
    remote: str

    def message(self) -> list[Header]:
        """Write the headers as the auth service reads them."""
        return [Header(name=name, value=value) for name, value in self.headers]


class Authorizer:
    """Asks for all connections of an edge. It belongs to one event loop."""

    def __init__(
        self,
        service: AuthService,
        metrics: EdgeMetrics,
        *,
        max_concurrent: int,
        max_headers: int,
        max_waiting: int,
    ) -> None:
        """Have `max_concurrent` questions under way.

        Of a client, `max_headers` bytes are kept, and `max_waiting` questions.
        """
        self._service = service
        self._max_headers = max_headers
        self._max_waiting = max_waiting
        self._turns = asyncio.Semaphore(max_concurrent)
        self._clients: dict[Connection, _Client] = {}
        # In the order in which they were asked; the first is under way, or will be next.
        self._questions: dict[Connection, dict[Question, None]] = {}
        self._tasks: dict[Connection, asyncio.Task[None]] = {}
        self._answers = True
        self._outcomes: Counter = metrics.authorizations
        metrics.gauge(
            "edge_authorizations_waiting",
            "Subscriptions and sign-ins for which the application is asked.",
            lambda: sum(len(questions) for questions in self._questions.values()),
        )

    def opened(
        self,
        connection: Connection,
        headers: Iterable[tuple[str, str]],
        *,
        remote: str,
        from_trusted_proxy: bool,
    ) -> None:
        """Keep what the application knows a client by; too much of it is kept of nobody.

        `remote` is who connected: the client, or a proxy, which may be trusted.
        """
        kept = tuple(
            # The names are the same for all connections.
            (sys.intern(name.lower()), _text(value))
            for name, value in headers
            if name.lower() in KEPT or (from_trusted_proxy and name.lower().startswith(_FORWARDED))
        )
        size = sum(len(name) + len(value.encode()) for name, value in kept)
        if size <= self._max_headers:
            self._clients[connection] = _Client(kept, remote)

    def closed(self, connection: Connection) -> None:
        """Forget a client; a question under way finds nobody to answer."""
        self._clients.pop(connection, None)
        self._questions.pop(connection, None)
        task = self._tasks.pop(connection, None)
        if task is not None:
            task.cancel()

    def ask(self, connection: Connection, question: Question) -> None:
        """Ask the application, after what was asked for this connection before.

        A client that asks twice, before it has an answer, gets one.
        """
        if connection not in self._clients:
            self._outcomes.labels("failed").inc()
            _deny(connection, question, "the headers of the handshake are too large")
            return
        questions = self._questions.setdefault(connection, {})
        if question not in questions and len(questions) >= self._max_waiting:
            self._outcomes.labels("failed").inc()
            _deny(connection, question, "too much waits for the application already")
            return
        questions[question] = None
        task = self._tasks.get(connection)
        # One that has just asked its last question is only cleared away in the next turn.
        if task is None or task.done():
            task = asyncio.create_task(self._ask_all(connection))
            self._tasks[connection] = task
            task.add_done_callback(partial(self._asked_all, connection))

    async def _ask_all(self, connection: Connection) -> None:
        client = self._clients[connection]
        questions = self._questions[connection]
        while questions:
            question = next(iter(questions))
            async with self._turns:
                await self._ask(connection, client, question)
            if connection.closing:
                return
            del questions[question]

    def _asked_all(self, connection: Connection, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(connection) is task:
            del self._tasks[connection]
            self._questions.pop(connection, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("edge could not ask for a client", exc_info=error)

    async def _ask(self, connection: Connection, client: _Client, question: Question) -> None:
        try:
            await self._ask_patiently(connection, client, question)
        except AuthorizerError as error:
            self._outcomes.labels("failed").inc()
            if error.outage:
                self._answered(answers=False, reason=str(error))
            _deny(connection, question, _NO_ANSWER)
        except Exception:  # noqa: BLE001 - the safety net of a client that waits for its answer
            _log.exception("edge could not ask for a client")
            self._outcomes.labels("failed").inc()
            _deny(connection, question, _NO_ANSWER)
        else:
            self._answered(answers=True)

    async def _ask_patiently(
        self, connection: Connection, client: _Client, question: Question
    ) -> None:
        """Ask until the auth service takes the question."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BUSY_WITHIN
        pause = BUSY_PAUSE
        while True:
            try:
                if isinstance(question, AuthorizationNeeded):
                    await self._authorize(connection, client, question.channel)
                else:
                    await self._authenticate(connection, client)
            except AuthorizerBusyError:
                if loop.time() + pause > until:
                    raise
            else:
                return
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads questions)
            pause = min(2 * pause, MAX_BUSY_PAUSE)

    async def _authorize(self, connection: Connection, client: _Client, channel: str) -> None:
        reply = await self._service.authorize_channel(
            AuthorizeChannelRequest(
                app_id=connection.app.id,
                socket_id=connection.socket_id,
                channel=channel,
                headers=client.message(),
                remote=client.remote,
            )
        )
        protocol = connection.protocol
        if reply.auth:
            self._outcomes.labels("signed").inc()
            data = reply.channel_data or None
            connection.resume(lambda: protocol.authorized(channel, reply.auth, data))
        else:
            self._outcomes.labels("refused").inc()
            connection.resume(lambda: protocol.denied(channel, reply.detail))

    async def _authenticate(self, connection: Connection, client: _Client) -> None:
        reply = await self._service.authenticate_user(
            AuthenticateUserRequest(
                app_id=connection.app.id,
                socket_id=connection.socket_id,
                headers=client.message(),
                remote=client.remote,
            )
        )
        protocol = connection.protocol
        if reply.auth:
            self._outcomes.labels("signed").inc()
            connection.resume(lambda: protocol.authenticated(reply.auth, reply.user_data))
        else:
            self._outcomes.labels("refused").inc()
            connection.resume(lambda: protocol.signin_denied(reply.detail))

    def _answered(self, *, answers: bool, reason: str = "") -> None:
        """Log when the service stops to answer and when it begins again, not each time."""
        if answers is not self._answers:
            self._answers = answers
            if answers:
                _log.info("auth service answers again")
            else:
                _log.warning("auth service gives no answer", reason=reason)


def _text(value: str) -> str:
    """Read a header's value as UTF-8, which cookies are; what is none cannot be sent on."""
    return value.encode("iso-8859-1").decode(errors="replace")


def _deny(connection: Connection, question: Question, message: str) -> None:
    protocol = connection.protocol
    if isinstance(question, AuthorizationNeeded):
        connection.resume(lambda: protocol.denied(question.channel, message))
    else:
        connection.resume(lambda: protocol.signin_denied(message))
