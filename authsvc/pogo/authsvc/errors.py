"""Why a request is not answered with a signature, and what its client is told.

AuthError
├── BadRequestError        400, or 413: the client asks for something that cannot be asked for
├── ForbiddenOriginError   403: the page that asks has a foreign origin
├── RefusedError           what the application says: 401, 403, 404, 419, 422 or 429
├── ShedError              503: too many ask at a time
├── CircuitOpenError       503: the worker is left alone for a while
└── WorkerError            the worker's fault
    ├── UnreachableError   502: it cannot be reached, or hung up
    ├── WorkerTimeoutError 504: it takes too long
    ├── WorkerFailedError  502: it answered with a server error
    └── InvalidAnswerError 502: its answer cannot be passed on

The message is for the client, `reason` is the label of the metric. What a worker did wrong is in
`detail`, for the log alone.
"""

from typing import ClassVar, Literal, get_args

FailureReason = Literal[
    "bad_request",
    "forbidden_origin",
    "refused",
    "shed",
    "circuit_open",
    "unreachable",
    "timeout",
    "worker_failed",
    "invalid_answer",
]
"""Why a request was not answered with a signature."""

FAILURE_REASONS: tuple[FailureReason, ...] = get_args(FailureReason)


class AuthError(Exception):
    """A request that gets no signature; the message goes to the client."""

    reason: ClassVar[FailureReason]

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class BadRequestError(AuthError):
    """The client asks for something that cannot be asked for."""

    reason = "bad_request"

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message, status)


class ForbiddenOriginError(AuthError):
    """The page that asks has a foreign origin."""

    reason = "forbidden_origin"

    def __init__(self) -> None:
        super().__init__("this origin is not allowed", 403)


class RefusedError(AuthError):
    """The application refuses; `body` is its own JSON, empty where it gave none."""

    reason = "refused"

    def __init__(
        self, status: int, body: bytes = b"", cookies: tuple[str, ...] = (), retry_after: str = ""
    ) -> None:
        super().__init__("the application refuses", status)
        self.body = body
        self.cookies = cookies
        self.retry_after = retry_after


class RetryLaterError(AuthError):
    """The request was not tried; it may be after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, 503)
        self.retry_after = retry_after


class ShedError(RetryLaterError):
    """Too many ask at a time."""

    reason = "shed"

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many requests wait for the application", retry_after)


class CircuitOpenError(RetryLaterError):
    """The worker has failed too often, and is left alone for a while."""

    reason = "circuit_open"

    def __init__(self, retry_after: float) -> None:
        super().__init__("the application does not answer at present", retry_after)


class WorkerError(AuthError):
    """The worker's fault; `detail` says in the log what it did."""

    status_code: ClassVar[int] = 502
    told: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(self.told, self.status_code)
        self.detail = detail


class UnreachableError(WorkerError):
    """The worker cannot be reached, or hung up before it had answered."""

    reason = "unreachable"
    told = "the application cannot be reached"


class WorkerTimeoutError(WorkerError):
    """The worker takes too long."""

    reason = "timeout"
    status_code = 504
    told = "the application takes too long"


class WorkerFailedError(WorkerError):
    """The worker answered with a server error."""

    reason = "worker_failed"
    told = "the application failed"


class InvalidAnswerError(WorkerError):
    """The worker's answer cannot be passed on."""

    reason = "invalid_answer"
    told = "the application gave an answer that cannot be used"
