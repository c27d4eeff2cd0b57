"""Asking the auth service on behalf of clients that sent no signature.

Who may do what is then decided by the headers of the WebSocket handshake: the application knows
its user by the cookies. They are kept for as long as the connection, and never logged.

A connection's questions are asked one after another, so that a page with many channels takes no
more of the application than one with few; as many connections as the settings allow have one under
way. The other questions wait here, no more of them than clients may have subscriptions.
"""

import asyncio
from collections import deque
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

    headers: tuple[Header, ...]
    remote: str


class Authorizer:
    """Asks for all connections of an edge. It belongs to one event loop."""

    def __init__(
        self, service: AuthService, metrics: EdgeMetrics, *, max_concurrent: int, max_headers: int
    ) -> None:
        """Have `max_concurrent` questions under way, and keep `max_headers` bytes of a client."""
        self._service = service
        self._max_headers = max_headers
        self._turns = asyncio.Semaphore(max_concurrent)
        self._clients: dict[Connection, _Client] = {}
        self._questions: dict[Connection, deque[Question]] = {}
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
            Header(name=name.lower(), value=value)
            for name, value in headers
            if name.lower() in KEPT or (from_trusted_proxy and name.lower().startswith(_FORWARDED))
        )
        size = sum(len(header.name) + len(header.value) for header in kept)
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
        """Ask the application, after what was asked for this connection before."""
        if connection not in self._clients:
            self._outcomes.labels("failed").inc()
            _deny(connection, question, "the headers of the handshake are too large")
            return
        self._questions.setdefault(connection, deque()).append(question)
        if connection not in self._tasks:
            task = asyncio.create_task(self._ask_all(connection))
            self._tasks[connection] = task
            task.add_done_callback(partial(self._asked_all, connection))

    async def _ask_all(self, connection: Connection) -> None:
        client = self._clients[connection]
        questions = self._questions[connection]
        while questions:
            async with self._turns:
                await self._ask(connection, client, questions[0])
            if connection.closing:
                return
            questions.popleft()

    def _asked_all(self, connection: Connection, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(connection) is task:
            del self._tasks[connection]
            self._questions.pop(connection, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("edge could not ask for a client", exc_info=error)

    async def _ask(self, connection: Connection, client: _Client, question: Question) -> None:
        try:
            if isinstance(question, AuthorizationNeeded):
                await self._authorize(connection, client, question.channel)
            else:
                await self._authenticate(connection, client)
        except AuthorizerError as error:
            self._outcomes.labels("failed").inc()
            if error.outage:
                self._answered(answers=False, reason=str(error))
            _deny(connection, question, _NO_ANSWER)
        else:
            self._answered(answers=True)

    async def _authorize(self, connection: Connection, client: _Client, channel: str) -> None:
        reply = await self._service.authorize_channel(
            AuthorizeChannelRequest(
                app_id=connection.app.id,
                socket_id=connection.socket_id,
                channel=channel,
                headers=client.headers,
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
                headers=client.headers,
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


def _deny(connection: Connection, question: Question, message: str) -> None:
    protocol = connection.protocol
    if isinstance(question, AuthorizationNeeded):
        connection.resume(lambda: protocol.denied(question.channel, message))
    else:
        connection.resume(lambda: protocol.signin_denied(message))
