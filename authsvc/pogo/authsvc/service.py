"""Having channels and users signed by the worker: what HTTP and gRPC have in common."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from pogo.authsvc.answers import (
    ChannelAnswer,
    UserAnswer,
    check_channel_answer,
    check_user_answer,
)
from pogo.authsvc.apps import AuthApp, AuthApps
from pogo.authsvc.errors import (
    AuthError,
    BadRequestError,
    InvalidAnswerError,
    RefusedError,
    WorkerError,
)
from pogo.authsvc.forms import Fields, encode_form, socket_id_of
from pogo.authsvc.metrics import AuthMetrics
from pogo.authsvc.upstream import WorkerAnswer, WorkerRequest
from pogo.authsvc.worker import Worker
from pogo.pusher.channels import ChannelKind, ChannelNameError, channel_kind, check_channel_name
from pogo.telemetry import get_logger

_OK = 200
_PASSABLE = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
"""The value of a header that can be written again."""
_REDIRECTS = range(300, 400)
_REFUSALS = (401, 403, 404, 419, 422, 429)
"""What an application says to a client: not logged in, not allowed, no such thing, a stale page
(Laravel's CSRF), too often."""

_log = get_logger()

_A = TypeVar("_A", ChannelAnswer, UserAnswer)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as the worker is to see it."""

    headers: Sequence[tuple[str, str]] = field(repr=False)
    """Those that pass (`pogo.authsvc.headers`)."""
    host: str
    remote: str


@dataclass(frozen=True, slots=True)
class Signed(Generic[_A]):
    """A signature that holds."""

    app: AuthApp
    answer: _A
    cookies: tuple[str, ...] = field(repr=False)
    """What the worker wants the client's browser to keep: values of `Set-Cookie`."""


class AuthService:
    """Asks the worker for signatures, and checks what it signs."""

    def __init__(
        self,
        worker: Worker,
        apps: AuthApps,
        metrics: AuthMetrics,
        *,
        auth_path: str,
        user_auth_path: str,
        max_channel_length: int,
    ) -> None:
        self._worker = worker
        self._apps = apps
        self._metrics = metrics
        self._auth_path = auth_path
        self._user_auth_path = user_auth_path
        self._max_channel_length = max_channel_length

    async def sign_channel(self, fields: Fields, asker: Asker) -> Signed[ChannelAnswer]:
        """Have a channel signed; the fields are `socket_id`, `channel_name` and any others.

        Raises:
            AuthError: There is no signature.
        """
        socket_id = socket_id_of(fields)
        channel = dict(fields).get("channel_name", "")
        kind = self._kind(channel)
        answer = await self._ask(self._auth_path, fields, asker)
        app, signed = check_channel_answer(
            answer.body, self._apps, socket_id=socket_id, channel=channel, kind=kind
        )
        return Signed(app, signed, answer.cookies)

    async def sign_user(self, fields: Fields, asker: Asker) -> Signed[UserAnswer]:
        """Have a user signed; the fields are `socket_id` and any others.

        Raises:
            AuthError: There is no signature.
        """
        socket_id = socket_id_of(fields)
        answer = await self._ask(self._user_auth_path, fields, asker)
        app, signed = check_user_answer(answer.body, self._apps, socket_id=socket_id)
        return Signed(app, signed, answer.cookies)

    def report(self, error: AuthError) -> None:
        """Count a request that gets no signature, and log what is not its client's fault."""
        self._metrics.failed(error.reason)
        if isinstance(error, WorkerError):
            _log.warning("auth worker gave no signature", reason=error.reason, detail=error.detail)

    def _kind(self, channel: str) -> ChannelKind:
        try:
            check_channel_name(channel, self._max_channel_length)
        except ChannelNameError as error:
            raise BadRequestError(f"channel_name: {error}") from None
        kind = channel_kind(channel)
        if not kind.needs_auth:
            raise BadRequestError("channel_name: only private and presence channels are signed")
        return kind

    async def _ask(self, path: str, fields: Fields, asker: Asker) -> WorkerAnswer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        request = WorkerRequest(path, encode_form(fields), asker.headers, asker.host, asker.remote)
        try:
            answer = await self._worker.ask(request)
        except WorkerError:
            self._metrics.passed(loop.time() - began)
            raise
        self._metrics.passed(loop.time() - began)
        if not all(map(_PASSABLE.fullmatch, (*answer.cookies, answer.retry_after))):
            raise InvalidAnswerError("its Set-Cookie or Retry-After cannot be passed on")
        if answer.status != _OK:
            raise _refusal(answer)
        return answer


def _refusal(answer: WorkerAnswer) -> AuthError:
    """Tell what an answer without a signature amounts to."""
    if answer.status in _REFUSALS:
        body = answer.body if _is_json(answer.body) else b""
        return RefusedError(answer.status, body, answer.cookies, answer.retry_after)
    if answer.status in _REDIRECTS:
        # To the login page: what applications say to browsers that are not logged in.
        return RefusedError(403)
    return InvalidAnswerError(f"it answered with the status {answer.status}")


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
